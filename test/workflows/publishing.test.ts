import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { artifactNames } from '../../src/config/plan.ts';
import type { RunConfigInput } from '../../src/config/schema.ts';
import type { AnswerRecord, RolloutRecord, ServedBy } from '../../src/core/records.ts';
import { type Summary, summarySchema } from '../../src/report/summary-schema.ts';
import { tokenizerRenderer } from '../../src/services/renderer/tokenizer.ts';
import { astroPipeline, evaluate } from '../../src/workflows/index.ts';
import { gsm8kWriter } from '../support/gsm8k-writer.ts';
import { type Pipeline, startPipeline } from '../support/pipeline.ts';
import { servedRun } from '../support/served-run.ts';
import { startSglang } from '../support/sglang-double.ts';
import { startTinkerServer, type TinkerServer } from '../support/tinker-server.ts';
import { startVllm, type VllmDouble } from '../support/vllm-double.ts';

const tokenizer = 'test/fixtures/chat/chatml';
const renderer = tokenizerRenderer(tokenizer, 'chat');
const write = gsm8kWriter('data/gsm8k-train.jsonl', 8);
const base = 'base';

let pipeline: Pipeline;
let trainer: TinkerServer;
beforeAll(async () => {
  pipeline = await startPipeline();
  trainer = await startTinkerServer({ base, renderer, write });
});
afterAll(async () => {
  await trainer?.close();
  await pipeline?.close();
});

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'astroflow-publishing-'));
  return () => rm(folder, { recursive: true, force: true });
});

const start = (port?: number) => startVllm({ base, renderer, write, ...(port !== undefined && { port }) });
const portOf = ({ baseUrl }: VllmDouble) => Number(new URL(baseUrl).port);

function execute(
  name: string,
  config: RunConfigInput,
  workflow: typeof astroPipeline | typeof evaluate = astroPipeline,
) {
  return pipeline.withWorkers((taskQueue) =>
    pipeline.client.workflow.execute(workflow as typeof astroPipeline, {
      workflowId: `astro/${name}`,
      taskQueue,
      args: [config],
    }),
  );
}

async function summaryOf(name: string): Promise<Summary> {
  const { store } = pipeline;
  return summarySchema.parse(await store.getJson((await store.find(artifactNames.run(name, 'summary.json')))!));
}

/** Rows of all files below a stage's folder whose names match. */
async function linesOf<Row>(stage: string, pattern: RegExp): Promise<Row[]> {
  const names = (await readdir(join(pipeline.folder, stage), { recursive: true })).filter((name) => pattern.test(name));
  const lists = names.map(async (name) =>
    pipeline.store.getLines<Row>((await pipeline.store.find(`${stage}/${name}`))!),
  );
  return (await Promise.all(lists)).flat();
}

const rolloutsOf = ({ artifacts }: Summary) =>
  linesOf<RolloutRecord>(artifacts['rl-search'] as string, /rollouts-.*\.jsonl$/);

const endpointsOf = (records: readonly { servedBy?: ServedBy }[]) =>
  [...new Set(records.map(({ servedBy }) => servedBy?.endpoint))].sort();

// A run and two more evaluations of it.
describe('a run whose adapters are brought to two vLLM servers', { timeout: 180_000 }, () => {
  it('goes on when one of them is lost, and is scored again after all were restarted', async () => {
    const [one, two] = [await start(), await start()];
    const sampler = {
      baseUrl: `${one.baseUrl}, ${two.baseUrl}`,
      publish: { via: 'vllm-lora', folder: join(folder, 'published') },
    };
    // Fine-tuned, and one iteration of reinforcement learning: the second one is being sampled or updated.
    const lost = two.until(() => two.adapters.size === 2).then(() => two.close());
    await execute('two-servers', servedRun('two-servers', trainer.baseUrl, sampler));
    await lost;

    const summary = await summaryOf('two-servers');
    expect(summary.scores.map(({ checkpoint }) => checkpoint)).toEqual(['base', 'search-sft', 'search-rl']);
    expect(summary.rl.search).toHaveLength(3);
    // The start, and one for each iteration.
    expect(one.adapters.size).toBe(4);
    expect(two.adapters.size).toBe(2);
    const versions = [...one.adapters.keys()];
    for (const { path, body } of one.requests) {
      if (path === '/v1/completions' && body.model !== base) expect(versions).toContain(body.model);
    }
    const lines = await rolloutsOf(summary);
    const byIteration = (iteration: number) => lines.filter((line) => line.iteration === iteration);
    expect(endpointsOf(byIteration(0))).toEqual(['server-0', 'server-1']);
    expect(endpointsOf(byIteration(2))).toEqual(['server-0']);
    expect(new Set(lines.map(({ policyVersion }) => policyVersion))).toEqual(new Set(versions.slice(0, 3)));

    // New processes on the same ports, which have nothing; another number of samples is another evaluation.
    await one.close();
    const again = [await start(portOf(one)), await start(portOf(two))];
    await execute('two-servers-again', servedRun('two-servers', trainer.baseUrl, sampler, 1), evaluate);
    for (const { adapters } of again) {
      expect([...adapters.keys()].sort()).toEqual([versions[0], versions[3]].sort());
    }

    // Not even the files are left: the checkpoints are made into weights again.
    await rm(join(folder, 'published'), { recursive: true });
    await Promise.all(again.map((server) => server.close()));
    const last = [await start(portOf(one)), await start(portOf(two))];
    await execute('two-servers-anew', servedRun('two-servers', trainer.baseUrl, sampler, 3), evaluate);
    for (const { adapters } of last) {
      expect(adapters.size).toBe(2);
      expect(versions).not.toContain([...adapters.keys()][0]);
    }
    await Promise.all(last.map((server) => server.close()));
  });
});

describe('a run on SGLang', { timeout: 120_000 }, () => {
  it('has every answer from the weights that it asked for', async () => {
    const servers = [
      await startSglang({ base, basePath: '/models/base', renderer, write }),
      await startSglang({ base, basePath: '/models/base', renderer, write }),
    ];
    const sampler = {
      endpoints: servers.map(({ baseUrl }, at) => ({ name: `gpu-${at}`, baseUrl })),
      publish: { via: 'sglang-disk', folder: join(folder, 'published'), base: '/models/base' },
    };
    await execute('sglang', servedRun('sglang', trainer.baseUrl, sampler));
    const summary = await summaryOf('sglang');
    expect(summary.scores.map(({ checkpoint }) => checkpoint)).toEqual(['base', 'search-sft', 'search-rl']);
    const rollouts = await rolloutsOf(summary);
    expect(endpointsOf(rollouts)).toEqual(['gpu-0', 'gpu-1']);
    const answers = await linesOf<AnswerRecord>(summary.artifacts.evaluate as string, /\.jsonl$/);
    expect(endpointsOf(answers)).toEqual(['gpu-0', 'gpu-1']);
    for (const server of servers) await server.close();
  });
});
