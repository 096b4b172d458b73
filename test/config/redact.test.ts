import { describe, expect, it } from 'vitest';
import { typedInSecrets, withoutSecrets } from '../../src/config/redact.ts';
import { type RunConfig, runConfigSchema } from '../../src/config/schema.ts';

const shown = (policy: object) => withoutSecrets(runConfigSchema.parse({ policy }));

describe('a configuration that is about to be sent', () => {
  it('is searched for secrets that somebody typed, whatever else is wrong with it', () => {
    const document = {
      serach: 3,
      policy: {
        sampler: { apiKey: 'sk-1', endpoints: [{ apiKey: 'sk-2' }, { baseUrl: 'http://me:word@host' }] },
        trainer: { launcher: { token: 'tok' }, options: { token: 'no secret of ours' } },
      },
      roles: { judge: { model: { apiKey: { env: 'KEY' }, baseUrl: 'http://host/@' } } },
    };
    expect(typedInSecrets(document)).toEqual([
      'policy.sampler.apiKey',
      'policy.sampler.endpoints.0.apiKey',
      'policy.sampler.endpoints.1.baseUrl',
      'policy.trainer.launcher.token',
    ]);
    expect([typedInSecrets({}), typedInSecrets(null), typedInSecrets('sk')]).toEqual([[], [], []]);
  });
});

describe('a configuration that is shown', () => {
  it('holds no key that somebody typed into it, which an older version took', () => {
    const sampler = { kind: 'openai', baseUrl: 'https://me:word@host/v1', apiKey: 'sk-1' };
    const model = { kind: 'openai-chat', model: 'm', baseUrl: 'https://host', apiKey: 'sk-2' };
    const shape = runConfigSchema.parse({ roles: { judge: {} } });
    const config = withoutSecrets({
      ...shape,
      policy: { ...shape.policy, sampler },
      roles: { ...shape.roles, judge: { ...shape.roles.judge, model } },
    } as unknown as RunConfig);
    expect(config.policy.sampler).toMatchObject({ baseUrl: 'https://host/v1', apiKey: '(not shown)' });
    expect(JSON.stringify(config)).not.toMatch(/sk-|word/);
  });

  it('keeps the names of variables, and everything else', () => {
    const sampler = { kind: 'openai', baseUrl: { env: 'URL' }, apiKey: { env: 'KEY' } };
    expect(shown({ sampler })).toEqual(runConfigSchema.parse({ policy: { sampler } }));
  });
});
