import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Plan } from '../../src/config/plan.ts';
import type { Checkpoint } from '../../src/core/checkpoint.ts';
import type { RolloutRecord } from '../../src/core/records.ts';
import type { SearchRound } from '../../src/core/search/types.ts';
import { tokenizerRenderer } from '../../src/services/renderer/tokenizer.ts';
import { gsm8kWriter } from '../support/gsm8k-writer.ts';
import { filesOf, fineTuneArm, type Lab, linearizeAll, openLab, searchAll } from '../support/lab.ts';
import { servedRun } from '../support/served-run.ts';
import { startTinkerServer, type TinkerServer } from '../support/tinker-server.ts';
import { startVllm, type VllmDouble } from '../support/vllm-double.ts';

const renderer = tokenizerRenderer('test/fixtures/chat/chatml', 'chat');
const write = gsm8kWriter('data/gsm8k-train.jsonl', 8);
const start = (port?: number) => startVllm({ base: 'base', renderer, write, ...(port !== undefined && { port }) });

let lab: Lab;
let trainer: TinkerServer;
let servers: VllmDouble[];
let plan: Plan;
beforeEach(async () => {
  lab = await openLab();
  trainer = await startTinkerServer({ base: 'base', renderer, write });
  servers = [await start(), await start()];
  const baseUrl = servers.map((server) => server.baseUrl).join();
  const publish = { via: 'vllm-lora', folder: join(lab.folder, 'published') };
  plan = await lab.plan(servedRun('lab', trainer.baseUrl, { baseUrl, publish }));
  await searchAll(lab, plan);
  await linearizeAll(lab, plan);
}, 30_000);
afterEach(async () => {
  await Promise.all([...servers, trainer].map((server) => server.close()));
  await lab.close();
});

/** As Temporal would: a connection that was kept open breaks when its server is restarted, which costs an attempt. */
async function publish(checkpoint: Checkpoint, name: string) {
  const input = { policy: plan.rl.search.policy, checkpoint, live: null, name, release: true };
  for (let attempt = 1; attempt < 3; attempt++) {
    const done = await lab.call('publish', input, { attempt }).catch(() => null);
    if (done !== null) return done;
  }
  return lab.call('publish', input, { attempt: 3 });
}

async function iterate(iteration: number, checkpoint: Checkpoint): Promise<Checkpoint> {
  const { prompts } = await lab.call('prepareRl', { plan: plan.rl.search });
  const of = { plan: plan.rl.search, iteration, checkpoint };
  const { ref } = await lab.call('rollout', { ...of, prompts });
  const update = await lab.call('updatePolicy', { ...of, rollouts: ref, live: null });
  return (await publish(update.checkpoint, `rl-search-${iteration}`)).checkpoint;
}

async function rolloutsOf(iteration: number): Promise<RolloutRecord[]> {
  const name = `rl/${plan.rl.search.key}/iter-000${iteration}/rollouts-00.jsonl`;
  return lab.store.getLines<RolloutRecord>((await lab.store.find(name))!);
}

// A whole search, rows and fine-tuning stand before each of them.
describe('a policy whose adapters are brought to vLLM', { timeout: 30_000 }, () => {
  it('samples each iteration from the version before, on all servers that are there', async () => {
    let checkpoint = await fineTuneArm(lab, plan, 'search');
    const versions = [checkpoint.samplerModel];
    checkpoint = await iterate(0, checkpoint);
    versions.push(checkpoint.samplerModel);
    for (const { adapters } of servers) expect([...adapters.keys()]).toEqual(versions);

    const [, lost] = servers;
    await lost?.close();
    checkpoint = await iterate(1, checkpoint);
    expect([...(servers[0] as VllmDouble).adapters.keys()]).toHaveLength(3);
    const by = async (iteration: number) =>
      (await rolloutsOf(iteration)).map(({ policyVersion, servedBy }) => `${policyVersion} at ${servedBy?.endpoint}`);
    expect(new Set(await by(0))).toEqual(new Set([0, 1].map((at) => `${versions[0]} at server-${at}`)));
    expect(new Set(await by(1))).toEqual(new Set([`${versions[1]} at server-0`]));
  });

  it('is confirmed without loading anything where it was published, and brought to servers that were restarted', async () => {
    const checkpoint = await fineTuneArm(lab, plan, 'search');
    expect((await publish(checkpoint, 'search-sft')).checkpoint).toEqual(checkpoint);
    const loads = () =>
      servers.flatMap(({ requests }) => requests.filter(({ path }) => path === '/v1/load_lora_adapter'));
    expect(loads()).toHaveLength(2);
    for (const [at, server] of servers.entries()) {
      await server.close();
      servers[at] = await start(Number(new URL(server.baseUrl).port));
    }
    expect((await publish(checkpoint, 'search-sft')).checkpoint).toEqual(checkpoint);
    for (const { adapters } of servers) expect([...adapters.keys()]).toEqual([checkpoint.samplerModel]);
  });

  it('is published anew from its checkpoint when the files are gone with the servers', async () => {
    const checkpoint = await fineTuneArm(lab, plan, 'search');
    for (const [at, server] of servers.entries()) {
      await server.close();
      servers[at] = await start(Number(new URL(server.baseUrl).port));
    }
    await rm(join(lab.folder, 'published'), { recursive: true });
    const { checkpoint: again } = await publish(checkpoint, 'search-sft');
    expect(again).toMatchObject({ id: checkpoint.id, trainerState: checkpoint.trainerState });
    expect(again.samplerModel).not.toBe(checkpoint.samplerModel);
    for (const { adapters } of servers) expect([...adapters.keys()]).toEqual([again.samplerModel]);
  });

  it('keeps who served each call of a search, and no address', async () => {
    const files = await filesOf(lab, 'search');
    const rounds = [...files].filter(([name]) => /round-\d+\.json$/.test(name));
    for (const [, bytes] of rounds) {
      const { calls, served } = JSON.parse(bytes.toString()) as SearchRound;
      expect(new Set(served?.map(({ call }) => call))).toEqual(new Set(calls));
      for (const { endpoint, completions } of served ?? []) {
        expect(['server-0', 'server-1']).toContain(endpoint);
        expect(completions).toBeGreaterThan(0);
      }
    }
    expect(rounds.length).toBeGreaterThan(0);
    for (const [, bytes] of files) expect(bytes.toString()).not.toContain('127.0.0.1');
  });
});
