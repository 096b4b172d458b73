import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Checkpoint } from '../../src/core/checkpoint.ts';
import { ServiceError } from '../../src/services/errors.ts';
import { tokenizerRenderer } from '../../src/services/renderer/tokenizer.ts';
import type { SampleRequest } from '../../src/services/sampler/sampler.ts';
import { scriptedLogprob, scriptedSampler } from '../../src/services/scripted/sampler.ts';
import { scriptedTrainer } from '../../src/services/scripted/trainer.ts';
import type { AdamParams, Datum, LiveModel } from '../../src/services/trainer/trainer.ts';

const renderer = tokenizerRenderer('test/fixtures/tokenizer');
const { signal } = new AbortController();
const problem = 'Use 4 9 3 to make 39\n';

function request(text: string, change: Partial<SampleRequest> = {}): SampleRequest {
  return {
    callId: 'search/k/p/1/expand',
    attempt: 1,
    model: 'base',
    prompts: [{ tokens: renderer.encode(text), text }],
    n: 4,
    maxTokens: 200,
    temperature: 1,
    stops: [],
    keepStop: true,
    seed: 7,
    logprobs: 'required',
    ...change,
  };
}

async function texts(text: string, change: Partial<SampleRequest> = {}): Promise<string[]> {
  const { completions } = await scriptedSampler({ renderer }).sample(request(text, change), signal);
  return (completions[0] ?? []).map((completion) => completion.text);
}

describe('the scripted sampler', () => {
  it('is a function of model, prompt, seed and indices', async () => {
    const once = await texts(problem, { n: 8 });
    expect(await texts(problem, { n: 8, callId: 'other', attempt: 3 })).toEqual(once);
    expect(new Set(once).size).toBeGreaterThan(1);
    expect(await texts(problem, { n: 8, seed: 8 })).not.toEqual(once);
    expect(await texts(problem, { n: 8, model: 'other' })).not.toEqual(once);
    expect(await texts(problem, { n: 4 })).toEqual(once.slice(0, 4));
  });

  it('gives the same sample every time at temperature 0', async () => {
    expect(new Set(await texts(problem, { n: 8, temperature: 0 })).size).toBe(1);
  });

  it('writes one whole attempt that ends in the end-of-text token', async () => {
    const { completions } = await scriptedSampler({ renderer }).sample(request(problem, { n: 20 }), signal);
    for (const completion of completions[0] ?? []) {
      expect(completion.text).toMatch(/^\d+[-+*]\d+=\d+ left \d+ \d+ to make 39\n\d+[-+*]\d+=\d+ is (not )?39\nAnswer/);
      expect(completion.tokens.at(-1)).toBe(renderer.eosToken);
      expect(completion.stopReason).toBe('stop');
      expect(renderer.decode(completion.tokens)).toBe(completion.text);
      expect(completion.logprobs).toEqual(completion.tokens.map(scriptedLogprob));
    }
  });

  it('keeps the stop string and ends there', async () => {
    for (const text of await texts(problem, { stops: ['\n'] })) expect(text).toMatch(/^[^\n]+ to make 39\n$/);
  });

  it('cuts at the token limit and says so', async () => {
    const { completions } = await scriptedSampler({ renderer }).sample(request(problem, { maxTokens: 5 }), signal);
    for (const completion of completions[0] ?? []) {
      expect(completion.tokens).toHaveLength(5);
      expect(completion.stopReason).toBe('length');
    }
  });

  it('continues a trace from its last line', async () => {
    const prefix = `${problem}9*4=36 left 3 36 to make 39\n36-3=33 is not 39\nWait go back to 3 36 to make 39\n`;
    for (const text of await texts(prefix)) expect(text).toMatch(/^(36|3)[-+*]3/);
    for (const text of await texts(`${problem}9*4=36 left 3 36 to make 39\n36+3=39 is 39\n`)) {
      expect(text).toBe('Answer boxed{(9*4)+3}');
    }
  });

  it('ends at once where it understands nothing', async () => {
    expect(await texts('Wait')).toEqual(['', '', '', '']);
    expect(await texts('Use 4 9 3 to make 39\n5*5=25 left 1 25 to make 39\n', { n: 1 })).toEqual(['']);
  });

  it('solves about one problem in four, and more where it may go back', async () => {
    const problems = ['4 9 3 to make 39', '2 7 11 to make 25', '5 6 8 to make 38', '1 12 10 to make 22'];
    const rate = async (model: string) => {
      const all = await Promise.all(problems.map((text) => texts(`Use ${text}\n`, { n: 200, model })));
      const right = all.flat().filter((text) => /\d is \d+\nAnswer/.test(text));
      return right.length / 800;
    };
    expect(await rate('base')).toBeGreaterThan(0.18);
    expect(await rate('base')).toBeLessThan(0.34);
    expect(await rate('with-search')).toBeGreaterThan(0.4);
  });

  it('goes back only when its name says search', async () => {
    expect((await texts(problem, { n: 100 })).join('')).not.toContain('Wait');
    const searched = (await texts(problem, { n: 100, model: 'with-search' })).join('');
    expect(searched).toMatch(/Wait go back to \d+ \d+ to make 39\n/);
    expect(searched).toContain('Wait start over with 4 9 3 to make 39\n');
  });

  it('keeps a journal of what it served', async () => {
    const sampler = scriptedSampler({ renderer });
    const one = await sampler.sample(request(problem), signal);
    const two = await sampler.sample(request(problem, { callId: 'search/k/p/2/expand' }), signal);
    await sampler.sample(request(problem, { callId: 'evaluate/k' }), signal);
    expect(await sampler.served('search/k/', signal)).toEqual({
      calls: 2,
      tokens: one.completionTokens + two.completionTokens,
    });
  });

  it('throws the faults that a test asks for', async () => {
    const fault = new ServiceError('retryable', 'busy', { service: 'scripted' });
    const sampler = scriptedSampler({ renderer, faults: ({ attempt }) => (attempt === 1 ? fault : undefined) });
    await expect(sampler.sample(request(problem), signal)).rejects.toBe(fault);
    await expect(sampler.sample(request(problem, { attempt: 2 }), signal)).resolves.toBeDefined();
  });
});

describe('the scripted trainer', () => {
  const adam: AdamParams = { learningRate: 1e-3, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0, gradClipNorm: 1 };
  const base: Checkpoint = { id: 'base', step: 0, base: 'b', trainerState: null };
  const datum = (text: string): Datum => {
    const tokens = renderer.encode(text);
    return { tokens, weights: tokens.map(() => 1) };
  };
  const batch = (step: number) => [datum(`Use 4 9 ${step + 1} to make 39\n`)];

  /** Steps on one live model, or through a checkpoint and a new trainer after every step. */
  async function train(steps: number[], resume: boolean): Promise<string> {
    let trainer = scriptedTrainer({ renderer });
    let live: LiveModel = await trainer.restore(base, { optimizer: true }, signal);
    for (const step of steps) {
      ({ live } = await trainer.step(live, batch(step), { name: 'cross_entropy' }, adam, signal));
      if (!resume) continue;
      const { trainerState } = await trainer.save(live, 'x', {}, signal);
      trainer = scriptedTrainer({ renderer });
      live = await trainer.restore({ ...base, trainerState }, { optimizer: true }, signal);
    }
    return (await trainer.save(live, 'x', {}, signal)).trainerState;
  }

  it('reaches equal states exactly by equal steps in equal order, resumed or not', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(3), { maxLength: 4 }), fc.array(fc.nat(3), { maxLength: 4 }), async (a, b) => {
        const equal = JSON.stringify(a) === JSON.stringify(b);
        expect((await train(a, false)) === (await train(b, true))).toBe(equal);
      }),
      { numRuns: 40 },
    );
  });

  it('reports the log-probabilities that the sampler reports, aligned with the tokens', async () => {
    const trainer = scriptedTrainer({ renderer });
    const live = await trainer.restore(base, { optimizer: true }, signal);
    const data = batch(1);
    const { live: after, result } = await trainer.step(live, data, { name: 'cross_entropy' }, adam, signal);
    const tokens = data[0]?.tokens ?? [];
    expect(result.logprobs[0]).toEqual([0, ...tokens.slice(1).map(scriptedLogprob)]);
    expect(result.loss).toBeCloseTo(-tokens.slice(1).reduce((sum, token) => sum + scriptedLogprob(token), 0));
    expect(after).toMatchObject({ nextSeqId: 3, checkpointId: 'base' });
    expect(after.modelId).not.toBe(live.modelId);
  });

  it('starts another chain when the optimiser is not restored', async () => {
    const trainer = scriptedTrainer({ renderer });
    const trainerState = await train([1], false);
    const kept = await trainer.restore({ ...base, trainerState }, { optimizer: true }, signal);
    const fresh = await trainer.restore({ ...base, trainerState }, { optimizer: false }, signal);
    expect(kept.modelId).toBe(trainerState);
    expect(fresh.modelId).not.toBe(trainerState);
  });

  it('learns to go back from data that does', async () => {
    const trainer = scriptedTrainer({ renderer });
    let live = await trainer.restore(base, { optimizer: true }, signal);
    const samplerModel = async () => (await trainer.saveForSampler(live, 'x', signal)).samplerModel;
    ({ live } = await trainer.step(live, batch(0), { name: 'cross_entropy' }, adam, signal));
    expect(await samplerModel()).toMatch(/^scripted:\/\/[0-9a-f]{16}\/sampler$/);
    const trace = [datum('Wait start over with 4 9 3 to make 39\n')];
    ({ live } = await trainer.step(live, trace, { name: 'cross_entropy' }, adam, signal));
    ({ live } = await trainer.step(live, batch(0), { name: 'cross_entropy' }, adam, signal));
    expect(await samplerModel()).toMatch(/^scripted:\/\/search-[0-9a-f]{16}\/sampler$/);
  });

  it('refuses a state of another trainer', async () => {
    const trainer = scriptedTrainer({ renderer });
    const checkpoint = { ...base, trainerState: 'tinker://run/weights/a' };
    await expect(trainer.restore(checkpoint, { optimizer: true }, signal)).rejects.toMatchObject({ kind: 'fatal' });
  });
});
