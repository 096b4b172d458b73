import { describe, expect, it } from 'vitest';
import { storedVersions, unreadableSchema } from '../../src/core/schemas.ts';

describe('the versions of stored objects', () => {
  it('are readable up to the one that is written', () => {
    for (const [kind, version] of Object.entries(storedVersions)) {
      for (let older = 1; older <= version; older++)
        expect(unreadableSchema({ schema: `astroflow.${kind}/${older}` })).toBeNull();
      const schema = `astroflow.${kind}/${version + 1}`;
      expect(unreadableSchema({ schema })).toEqual({ schema, reads: version });
    }
  });

  it('are unknown for a kind that only a newer release has', () => {
    expect(unreadableSchema({ schema: 'astroflow.constructor/1' })).toEqual({
      schema: 'astroflow.constructor/1',
      reads: null,
    });
  });

  it.each([null, 3, 'astroflow.plan/9', [], {}, { schema: 7 }, { schema: 'other/9' }, { schema: null }])(
    'do not concern what says none: %j',
    (value) => {
      expect(unreadableSchema(value)).toBeNull();
    },
  );
});
