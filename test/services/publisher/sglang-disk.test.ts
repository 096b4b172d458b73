import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createPublisher } from '../../../src/services/publisher/index.ts';
import { createRenderer } from '../../../src/services/renderer/tokenizer.ts';
import { openaiSampler } from '../../../src/services/sampler/openai.ts';
import type { Completion } from '../../../src/services/sampler/sampler.ts';
import { type SglangDouble, startSglang } from '../../support/sglang-double.ts';

const renderer = createRenderer('bytes', 'plain');
const { signal } = new AbortController();

let root: string;
let servers: SglangDouble[];
const start = () =>
  startSglang({
    base: 'base',
    basePath: '/models/base',
    renderer,
    write: (_prompt, random) => `${random.int(1_000_000)}`,
  });
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'astroflow-published-'));
  servers = [await start(), await start()];
});
afterEach(async () => {
  await Promise.all(servers.map((server) => server.close()));
  rmSync(root, { recursive: true, force: true });
});

function weights(name: string, file = 'config.json'): string {
  const folder = join(root, 'jobs', name, 'model');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, file), '{}');
  if (file === 'adapter_config.json') writeFileSync(join(folder, 'adapter_model.safetensors'), '');
  return folder;
}

function worker() {
  const folder = join(root, 'published');
  const publisher = createPublisher({ via: 'sglang-disk', folder, base: '/models/base', timeoutMs: 5_000 }, {}, 'base');
  const sampler = openaiSampler(
    { baseUrl: servers.map(({ baseUrl }) => baseUrl).join(), timeoutMs: 5_000, prompts: 'tokens' },
    {},
    renderer,
    { warn: () => {}, base: 'base', versions: publisher.versions },
  );
  const publish = async (from: string) => {
    const version = await publisher.publish(from, async () => from, signal);
    await sampler.confirm(version, signal);
    return version;
  };
  const sample = async (model: string) => {
    const request = {
      callId: 'c',
      attempt: 1,
      n: 2,
      maxTokens: 8,
      temperature: 1,
      stops: [],
      keepStop: false,
      seed: 1,
    };
    const prompts = [1, 2, 3, 4].map((at) => ({ tokens: [13, 20 + at], text: `Use ${at}` }));
    const each = prompts.map((prompt) =>
      sampler.sample({ ...request, model, prompts: [prompt], logprobs: 'required' }, signal),
    );
    return (await Promise.all(each)).flatMap(({ completions }) => completions.flat());
  };
  return { publish, sample, sampler };
}

/** Whoever of the servers gave it. */
const sampled = (completions: readonly Completion[]) =>
  completions.map(({ tokens, logprobs, servedBy }) => ({ tokens, logprobs, weights: servedBy?.weights }));

describe('weights for SGLang', () => {
  it('replace those of every server, under a version that every answer carries', async () => {
    const { publish, sample } = worker();
    const base = await sample('base');
    expect(new Set(base.map(({ servedBy }) => servedBy?.weights))).toEqual(new Set(['default']));
    const from = weights('rl-search-1');
    const version = await publish(from);
    for (const server of servers) expect(server.weights()).toEqual({ path: from, version });
    const trained = await sample(version);
    expect(new Set(trained.map(({ servedBy }) => servedBy?.weights))).toEqual(new Set([version]));
    expect(new Set(trained.map(({ servedBy }) => servedBy?.endpoint))).toEqual(new Set(['server-0', 'server-1']));
    expect(trained.map(({ text }) => text)).not.toEqual(base.map(({ text }) => text));
    const updates = servers[0]?.requests.filter(({ path }) => path === '/update_weights_from_disk');
    expect(updates?.map(({ body }) => body)).toEqual([
      { model_path: from, weight_version: version, flush_cache: true },
    ]);
  });

  it('give each sample noise of its own, by a request of its own', async () => {
    const { sample } = worker();
    const texts = (await sample('base')).map(({ text }) => text);
    expect(new Set(texts).size).toBe(texts.length);
    // Also when it knows from the start that it must.
    expect((await worker().sample('base')).map(({ text }) => text)).toEqual(texts);
  });

  it('are replaced once, however often they are published', async () => {
    const from = weights('rl');
    const version = await worker().publish(from);
    expect(await worker().publish(from)).toBe(version);
    const updates = servers.flatMap(({ requests }) => requests.filter(({ path }) => path.startsWith('/update')));
    expect(updates).toHaveLength(2);
  });

  it('give way to an earlier version, and to the base, when that is asked for again', async () => {
    const { publish, sample } = worker();
    const [one, two] = [await publish(weights('a')), await publish(weights('b'))];
    const first = await sample(one);
    expect(new Set(first.map(({ servedBy }) => servedBy?.weights))).toEqual(new Set([one]));
    expect(new Set((await sample(two)).map(({ servedBy }) => servedBy?.weights))).toEqual(new Set([two]));
    await worker().sampler.confirm('base', signal);
    for (const server of servers) expect(server.weights()).toEqual({ path: '/models/base', version: 'base' });
    expect(sampled(await sample(one))).toEqual(sampled(first));
  });

  it('that somebody else has replaced are noticed in the answer, and brought back', async () => {
    const { publish, sample } = worker();
    const version = await publish(weights('rl'));
    const before = await sample(version);
    for (const server of servers) server.load('/other', 'other');
    expect(sampled(await sample(version))).toEqual(sampled(before));
  });

  it('that are an adapter are loaded beside the base', async () => {
    const { publish, sample } = worker();
    await publish(weights('full'));
    const version = await publish(weights('rl', 'adapter_config.json'));
    for (const server of servers) {
      expect(server.weights().path).toBe('/models/base');
      expect([...server.adapters.keys()]).toEqual([version]);
    }
    const asked = await sample(version);
    expect(new Set(asked.map(({ servedBy }) => servedBy?.weights))).toEqual(new Set(['base']));
    const { body } = servers[0]?.requests.findLast(({ path }) => path === '/v1/completions') ?? {};
    expect(body).toMatchObject({ model: 'base', lora_path: version, cache_salt: version });
  });
});
