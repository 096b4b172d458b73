import { describe, expect, it } from 'vitest';
import { withoutSecrets } from '../../src/config/redact.ts';
import { runConfigSchema } from '../../src/config/schema.ts';

const shown = (policy: object, roles: object = {}) => withoutSecrets(runConfigSchema.parse({ policy, roles }));

describe('a configuration that is shown', () => {
  it('holds no key that somebody typed into it', () => {
    const sampler = { kind: 'openai', baseUrl: 'https://me:word@host/v1', apiKey: 'sk-1' };
    const model = { kind: 'openai-chat', model: 'm', baseUrl: 'https://host', apiKey: 'sk-2' };
    const config = shown({ sampler }, { judge: { model } });
    expect(config.policy.sampler).toMatchObject({ baseUrl: 'https://host/v1', apiKey: '(not shown)' });
    expect(JSON.stringify(config)).not.toMatch(/sk-|word/);
  });

  it('keeps the names of variables, and everything else', () => {
    const sampler = { kind: 'openai', baseUrl: { env: 'URL' }, apiKey: { env: 'KEY' } };
    expect(shown({ sampler })).toEqual(runConfigSchema.parse({ policy: { sampler } }));
  });
});
