import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createPublisher } from '../../../src/services/publisher/index.ts';
import type { FetchWeights } from '../../../src/services/publisher/publisher.ts';
import { createRenderer } from '../../../src/services/renderer/tokenizer.ts';
import { openaiSampler } from '../../../src/services/sampler/openai.ts';
import { startVllm, type VllmDouble } from '../../support/vllm-double.ts';

const renderer = createRenderer('bytes', 'plain');
const { signal } = new AbortController();

let root: string;
let servers: VllmDouble[];
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'astroflow-published-'));
  servers = [await start(), await start()];
});
afterEach(async () => {
  await Promise.all(servers.map((server) => server.close()));
  rmSync(root, { recursive: true, force: true });
});

const start = (options: { port?: number; lora?: boolean } = {}) =>
  startVllm({ base: 'base', renderer, write: (_prompt, random) => `${random.int(1_000_000)}`, ...options });

/** A folder as a trainer leaves it. */
function weights(name: string, file = 'adapter_config.json'): string {
  const folder = join(root, 'jobs', name, 'model');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, file), '{}');
  if (file === 'adapter_config.json') writeFileSync(join(folder, 'adapter_model.safetensors'), '');
  return folder;
}

/** What a worker has: a publisher and a sampler of its own, which know nothing of other workers'. */
function worker(keep = 8) {
  const folder = join(root, 'published');
  const publisher = createPublisher({ via: 'vllm-lora', folder, keep, timeoutMs: 5_000 }, {}, 'base');
  const said: string[] = [];
  const sampler = openaiSampler(
    { baseUrl: servers.map(({ baseUrl }) => baseUrl).join(' '), timeoutMs: 5_000, prompts: 'tokens' },
    {},
    renderer,
    { warn: (message) => said.push(message), base: 'base', versions: publisher.versions },
  );
  const publish = async (from: string, fetch: FetchWeights = async () => from) => {
    const version = await publisher.publish(from, fetch, signal);
    await sampler.confirm(version, signal);
    return version;
  };
  const sample = (model: string, callId = 'c') =>
    sampler.sample(
      {
        callId,
        attempt: 1,
        model,
        prompts: [1, 2, 3, 4].map((at) => ({ tokens: [13, 20 + at], text: `Use ${at}` })),
        n: 2,
        maxTokens: 8,
        temperature: 1,
        stops: [],
        keepStop: false,
        seed: 1,
        logprobs: 'required',
      },
      signal,
    );
  return { publisher, publish, sample, sampler, said };
}

const loads = () =>
  servers.map(({ requests }) => requests.filter(({ path }) => path === '/v1/load_lora_adapter').length);

describe('adapters for vLLM', () => {
  it('are loaded into every server under a name of their own before they are used', async () => {
    const { publish } = worker();
    const one = await publish(weights('sft-search-1'));
    const two = await publish(weights('rl-search-1'));
    expect(one).toMatch(/^sft-search-1-[0-9a-f]{12}$/);
    expect(two).not.toBe(one);
    for (const { adapters } of servers) expect([...adapters.keys()]).toEqual([one, two]);
    expect(servers[0]?.adapters.get(one)).toBe(join(root, 'jobs/sft-search-1/model'));
  });

  it('are asked for by name, with a prefix cache of their own', async () => {
    const { publish, sample } = worker();
    const version = await publish(weights('rl'));
    const { completions } = await sample(version);
    const asked = servers.flatMap(({ requests }) => requests).filter(({ path }) => path === '/v1/completions');
    for (const { body } of asked) expect(body).toMatchObject({ model: version, cache_salt: version });
    const names = completions.flat().map(({ servedBy }) => servedBy?.endpoint);
    expect(new Set(names)).toEqual(new Set(['server-0', 'server-1']));
  });

  it('are loaded once, whoever publishes them again and when', async () => {
    const from = weights('rl');
    const version = await worker().publish(from);
    expect(await worker().publish(from)).toBe(version);
    // The worker died between loading and confirming: one server has it, and the other does not.
    await servers[1]?.close();
    servers[1] = await start({ port: Number(new URL(servers[1]?.baseUrl ?? '').port) });
    expect(await worker().publish(from)).toBe(version);
    expect(loads()).toEqual([1, 1]);
    for (const { adapters } of servers) expect([...adapters.keys()]).toEqual([version]);
  });

  it('come back to a server that was restarted without them, in this process and in another', async () => {
    const { publish, sample } = worker();
    const version = await publish(weights('rl'));
    const [first] = servers;
    await first?.close();
    servers[0] = await start({ port: Number(new URL(first?.baseUrl ?? '').port) });
    const before = await sample(version);
    expect(before.completions).toHaveLength(4);
    await servers[1]?.close();
    servers[1] = await start({ port: Number(new URL(servers[1]?.baseUrl ?? '').port) });
    const after = await worker().sample(version);
    const texts = (result: typeof before) => result.completions.map((list) => list.map(({ text }) => text));
    expect(texts(after)).toEqual(texts(before));
  });

  it('are unloaded when there are too many, those not used for longest first, and loaded again when asked for', async () => {
    const { publish, sample } = worker(2);
    const versions: string[] = [];
    for (const [hour, name] of ['a', 'b', 'c', 'd'].entries()) {
      const version = await publish(weights(name));
      versions.push(version);
      utimesSync(join(root, 'published', `${version}.json`), hour * 3600, hour * 3600);
    }
    const [oldest = ''] = versions;
    for (const { adapters } of servers) expect([...adapters.keys()]).toEqual(versions.slice(-2));
    await sample(oldest);
    for (const { adapters } of servers) expect([...adapters.keys()]).toContain(oldest);
    // What was asked for last is in use, however old it is.
    await publish(weights('e'));
    for (const { adapters } of servers) expect([...adapters.keys()]).toContain(oldest);
  });

  it('are downloaded below the folder where the trainer keeps them, once', async () => {
    let fetched = 0;
    const fetch: FetchWeights = async (folder) => {
      fetched += 1;
      const inside = join(folder, 'run-1', 'adapter');
      mkdirSync(inside, { recursive: true });
      for (const name of ['adapter_config.json', 'adapter_model.safetensors']) writeFileSync(join(inside, name), '');
      return join(folder, 'run-1');
    };
    const version = await worker().publish('tinker://run-1/sampler_weights/rl-search-0-a1', fetch);
    await worker().publish('tinker://run-1/sampler_weights/rl-search-0-a1', fetch);
    expect(fetched).toBe(1);
    expect(version).toMatch(/^rl-search-0-a1-/);
    expect(servers[1]?.adapters.get(version)).toBe(join(root, 'published/weights/run-1/adapter'));
  });

  it('are published without a server that is away, and brought to it when it is back', async () => {
    const { publish, sample, said } = worker();
    const port = Number(new URL(servers[1]?.baseUrl ?? '').port);
    await servers[1]?.close();
    const version = await publish(weights('rl'));
    expect(said.join()).toMatch(/server-1 .* is out/);
    await sample(version);
    servers[1] = await start({ port });
    // As another worker sees it, for whom nothing is out.
    await worker().sample(version);
    expect([...servers[1].adapters.keys()]).toEqual([version]);
  });

  it('refuse a full model, and say what to do', async () => {
    await expect(worker().publish(weights('sft', 'config.json'))).rejects.toThrow(
      /full model, and vLLM loads only adapters.*loraRank.*sglang-disk/s,
    );
    expect(loads()).toEqual([0, 0]);
  });

  it('refuse a folder with neither, before any server is asked', async () => {
    await expect(worker().publish(weights('sft', 'README.md'))).rejects.toThrow(
      /neither a model .* nor a PEFT adapter/,
    );
    expect(readdirSync(root)).toEqual(['jobs']);
  });

  it('say how vLLM must be started where it cannot load any', async () => {
    await Promise.all(servers.map((server) => server.close()));
    servers = [await start({ lora: false })];
    await expect(worker().publish(weights('rl'))).rejects.toMatchObject({
      kind: 'fatal',
      message: expect.stringMatching(/VLLM_ALLOW_RUNTIME_LORA_UPDATING/),
    });
  });

  it('are lost when their files are, so that the checkpoint is published again', async () => {
    const from = weights('rl');
    const version = await worker().publish(from);
    await Promise.all(servers.map((server) => server.close()));
    servers = [await start()];
    rmSync(from, { recursive: true });
    await expect(worker().sampler.confirm(version, signal)).rejects.toMatchObject({ kind: 'lost' });
  });
});
