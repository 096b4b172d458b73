import { describe, expect, it } from 'vitest';
import { type PolicyConfig, runConfigSchema } from '../../src/config/schema.ts';
import { createServices, openServices } from '../../src/services/index.ts';

const { signal } = new AbortController();
const tokenizer = 'test/fixtures/tokenizer';
const policy = (change: object = {}): PolicyConfig =>
  runConfigSchema.parse({ policy: { tokenizer, ...change } }).policy;

describe('services of a policy', () => {
  it('are scripted where the policy says so', async () => {
    const scripted = policy({ sampler: { kind: 'scripted' }, trainer: { kind: 'scripted' } });
    const { sampler, trainer, renderer } = createServices(scripted, {});
    const checkpoint = { id: 'base', step: 0, base: scripted.base, trainerState: null };
    const live = await trainer.restore(checkpoint, { optimizer: true }, signal);
    expect(live.modelId).toMatch(/^scripted:/);
    expect(await sampler.served('', signal)).toEqual({ calls: 0, tokens: 0 });
    expect(renderer.decode(renderer.encode('Wait'))).toBe('Wait');
  });

  it('contact nothing until they are used, and then say which address is missing', async () => {
    for (const sampler of [{ kind: 'openai' }, { kind: 'tinker' }]) {
      const services = createServices(policy({ sampler }), {});
      await expect(services.sampler.confirm('m', signal)).rejects.toThrow(
        /policy\.sampler\.baseUrl names .*ENGINE_URL/,
      );
      const checkpoint = { id: 'base', step: 0, base: 'b', trainerState: null };
      const restore = services.trainer.restore(checkpoint, { optimizer: true }, signal);
      await expect(restore).rejects.toThrow(/policy\.trainer\.baseUrl names .*ENGINE_URL/);
    }
  });

  it('are made once per policy', () => {
    const open = openServices({});
    expect(open(policy())).toBe(open(policy()));
    expect(open(policy({ base: 'other' }))).not.toBe(open(policy()));
  });
});
