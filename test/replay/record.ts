// Records the golden histories: every workflow on scripted services, each for one feature.
//   npm run record:histories
// See histories/README.md for when to do that, and when never.

import { readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import type { Workflow } from '@temporalio/workflow';
import type { RunConfigInput } from '../../src/config/schema.ts';
import type { Progress } from '../../src/core/progress.ts';
import { ServiceError } from '../../src/services/errors.ts';
import type { Jobs } from '../../src/services/jobs/index.ts';
import type { Sampler } from '../../src/services/sampler/sampler.ts';
import * as workflows from '../../src/workflows/index.ts';
import { openRecipe } from '../support/job-recipe.ts';
import { type Pipeline, shortRun, startPipeline, tinyRun } from '../support/pipeline.ts';
import { sumsRun } from '../support/sums.ts';
import { until } from '../support/watch.ts';

/** Which release's workflow code made the histories; it stays in their names for good. */
const release = 'v0.1';
const folder = new URL('./histories/', import.meta.url);

const small: RunConfigInput = {
  ...shortRun,
  search: { problems: { split: 'train', count: 6 }, rounds: 2, pageSize: 4, concurrency: 2 },
  rl: { search: { ...tinyRun.rl.search, iterations: 2 }, iterationsPerRun: 1 },
};

const { astroPipeline, searchProblem } = workflows;

async function record(pipeline: Pipeline): Promise<void> {
  const start = (workflow: Workflow, taskQueue: string, workflowId: string, config: object) =>
    pipeline.client.workflow.start(workflow, { workflowId, taskQueue, args: [config] });
  const save = (name: string, workflowId: string) => saveRuns(pipeline, name, workflowId);

  await pipeline.withWorkers(async (queue) => {
    await (await start(astroPipeline, queue, 'astro/happy', small)).result();
    await (await start(astroPipeline, queue, 'astro/reused', small)).result();
    await (await start(searchProblem, queue, 'astro/one', { ...small, salt: 'one', problem: 1 })).result();
  });
  await save('astro-pipeline-happy', 'astro/happy');
  await save('astro-pipeline-reused', 'astro/reused');
  await save('search-corpus-happy', 'astro/happy/search');
  await save('search-shard-continue-as-new', 'astro/happy/search/shard-00');
  await save('search-problem-happy', 'astro/one');
  await save('linearize-corpus-happy', 'astro/happy/linearize');
  await save('fine-tune-happy', 'astro/happy/sft/search');
  await save('reinforce-continue-as-new', 'astro/happy/rl/search');
  await save('evaluate-happy', 'astro/happy/evaluate');

  await pipeline.withWorkers(async (queue) => {
    await (await start(astroPipeline, queue, 'astro/roles', sumsRun)).result();
  });
  await save('linearize-corpus-roles', 'astro/roles/linearize');

  const failsOnce = (real: Sampler): Sampler => ({
    ...real,
    sample: (request, signal) =>
      request.attempt === 1 ? Promise.reject(new Error('connection reset')) : real.sample(request, signal),
  });
  await pipeline.withWorkers(
    async (queue) => (await start(searchProblem, queue, 'astro/retry', { ...small, salt: 'retry' })).result(),
    { sampler: failsOnce },
  );
  await save('search-problem-retry', 'astro/retry');

  let sampling = () => {};
  const isSampling = new Promise<void>((resolve) => {
    sampling = resolve;
  });
  const hangs = (real: Sampler): Sampler => ({
    ...real,
    sample: (_request, signal) => {
      sampling();
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
    },
  });
  await pipeline.withWorkers(
    async (queue) => {
      const handle = await start(astroPipeline, queue, 'astro/cancelled', { ...small, salt: 'cancelled' });
      await isSampling;
      await handle.cancel();
      await handle.result().catch(() => {});
    },
    { sampler: hangs },
  );
  await save('astro-pipeline-cancelled', 'astro/cancelled');
  await save('search-shard-cancelled', 'astro/cancelled/search/shard-00');

  await recordPause(pipeline);
  await recordAttention(pipeline);
  await recordJobs(pipeline);
}

/** Both training stages as jobs on this machine. */
async function recordJobs(pipeline: Pipeline): Promise<void> {
  const jobs = (real: Jobs): Jobs => ({ ...real, recipe: openRecipe });
  const trainer = { kind: 'job', recipe: { kind: 'trl' }, folder: join(pipeline.folder, 'jobs'), pollMs: 100 } as const;
  const config: RunConfigInput = { ...small, salt: 'jobs', policy: { ...small.policy, trainer } };
  await pipeline.withWorkers(
    async (taskQueue) => {
      const run = { workflowId: 'astro/jobs', taskQueue, args: [config] as [RunConfigInput] };
      await pipeline.client.workflow.execute(astroPipeline, run);
    },
    { jobs },
  );
  await saveRuns(pipeline, 'astro-pipeline-jobs', 'astro/jobs');
  await saveRuns(pipeline, 'fine-tune-job', 'astro/jobs/sft/search');
  await saveRuns(pipeline, 'reinforce-job', 'astro/jobs/rl/search');
}

/** Paused with two problems in flight, and resumed once both had ended. */
async function recordPause(pipeline: Pipeline): Promise<void> {
  const begun = new Set<string>();
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const waits = (real: Sampler): Sampler => ({
    ...real,
    async sample(request, signal) {
      if (request.callId.startsWith('search/')) {
        begun.add(request.callId.split('/')[3] ?? '');
        await opened;
      }
      return real.sample(request, signal);
    },
  });
  await pipeline.withWorkers(
    async (taskQueue) => {
      const run = { workflowId: 'astro/paused', taskQueue, args: [{ ...small, salt: 'paused' }] as [RunConfigInput] };
      const handle = await pipeline.client.workflow.start(astroPipeline, run);
      const shard = pipeline.client.workflow.getHandle('astro/paused/search/shard-00');
      await until(() => begun.size === 2);
      await handle.executeUpdate('pause');
      await until(async () => (await shard.query<Progress>('progress')).paused === true);
      open();
      await until(async () => (await shard.query<Progress>('progress')).stages[0]?.done === 2);
      await handle.executeUpdate('resume');
      await handle.result();
    },
    { sampler: waits },
  );
  await saveRuns(pipeline, 'astro-pipeline-pause', 'astro/paused');
  await saveRuns(pipeline, 'search-corpus-pause', 'astro/paused/search');
  await saveRuns(pipeline, 'search-shard-pause', 'astro/paused/search/shard-00');
}

/** Refused by the sampler in search, RL and evaluation, each time until the run asked; then told to retry. */
async function recordAttention(pipeline: Pipeline): Promise<void> {
  const mended = new Set<string>();
  const refuses = (real: Sampler): Sampler => ({
    ...real,
    sample: (request, signal) =>
      mended.has(request.callId.split('/')[0] ?? '')
        ? real.sample(request, signal)
        : Promise.reject(new ServiceError('fatal', 'no such model', { service: 'sampler' })),
  });
  await pipeline.withWorkers(
    async (taskQueue) => {
      const config: RunConfigInput = {
        ...small,
        salt: 'asked',
        onFailure: 'ask',
        search: { ...small.search, concurrency: 1 },
        evaluate: { ...small.evaluate, concurrency: 1 },
      };
      const run = { workflowId: 'astro/asked', taskQueue, args: [config] as [RunConfigInput] };
      const handle = await pipeline.client.workflow.start(astroPipeline, run);
      for (const name of ['search', 'rl', 'evaluate']) {
        await until(async () => {
          const { stages } = await handle.query<Progress>('progress');
          return stages.some((stage) => stage.name === name && stage.state === 'attention');
        });
        mended.add(name);
        await handle.executeUpdate<void, [object]>('resolve', { args: [{ action: 'retry' }] });
      }
      await handle.result();
    },
    { sampler: refuses },
  );
  await saveRuns(pipeline, 'astro-pipeline-attention', 'astro/asked');
  await saveRuns(pipeline, 'search-corpus-attention', 'astro/asked/search');
  await saveRuns(pipeline, 'search-shard-attention', 'astro/asked/search/shard-00');
  await saveRuns(pipeline, 'linearize-corpus-asking', 'astro/asked/linearize');
  await saveRuns(pipeline, 'fine-tune-asking', 'astro/asked/sft/search');
  await saveRuns(pipeline, 'reinforce-attention', 'astro/asked/rl/search');
  await saveRuns(pipeline, 'evaluate-attention', 'astro/asked/evaluate');
}

/** Saves a workflow's history; one file for each run where it continued as new. */
async function saveRuns(pipeline: Pipeline, name: string, workflowId: string): Promise<void> {
  const runs: string[] = [];
  let runId: string | undefined;
  do {
    const history = await pipeline.client.workflow.getHandle(workflowId, runId).fetchHistory();
    runs.unshift(impersonal(historyToJSON(history), pipeline));
    runId = history.events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId || undefined;
  } while (runId !== undefined);
  for (const [index, json] of runs.entries()) {
    const part = runs.length > 1 ? `-run-${index + 1}` : '';
    writeFileSync(new URL(`${name}${part}-${release}.json`, folder), `${json}\n`);
  }
}

/** Without names and folders of the machine it was recorded on. */
function impersonal(json: string, pipeline: Pipeline): string {
  return (
    JSON.stringify(JSON.parse(json))
      .replaceAll(pipeline.folder, 'artifacts')
      .replaceAll(`${process.cwd()}/`, '')
      .replaceAll(`${dirname(realpathSync('node_modules'))}/`, '')
      .replaceAll(/"identity":\s*"[^"]*"/g, '"identity":"recorder"')
      // A sticky queue is named after process and machine too.
      .replaceAll(/"name":\s*"\d+@[^"]*"/g, '"name":"recorder"')
  );
}

for (const name of readdirSync(folder)) {
  if (name.endsWith(`-${release}.json`)) rmSync(new URL(name, folder));
}
const pipeline = await startPipeline();
try {
  await record(pipeline);
} finally {
  await pipeline.close();
}
