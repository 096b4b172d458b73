import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { bundleWorkflowCode, type WorkflowBundleWithSourceMap } from '@temporalio/worker';
import type { ActivityDeps } from '../../src/activities/deps.ts';
import { temporalBinary } from '../../src/cli/paths.ts';
import type { RunConfigInput } from '../../src/config/schema.ts';
import { openServices } from '../../src/services/index.ts';
import { folderStore } from '../../src/services/store/folder.ts';
import type { ArtifactStore } from '../../src/services/store/store.ts';
import { createWorkers } from '../../src/workers/worker.ts';

/** A policy without a model behind it: deterministic texts, hash-chain checkpoints. */
export const scriptedPolicy = {
  base: 'scripted-base',
  tokenizer: 'test/fixtures/tokenizer',
  sampler: { kind: 'scripted' },
  trainer: { kind: 'scripted' },
} satisfies RunConfigInput['policy'];

/** The smallest run that visits every stage, with two pages of search. */
export const tinyRun = {
  policy: scriptedPolicy,
  search: { problems: { split: 'train', count: 12 }, rounds: 2, pageSize: 8, concurrency: 4 },
  sft: {
    stepsPerChunk: 2,
    search: { steps: 4, batchSize: 4, warmupSteps: 1 },
    direct: { steps: 2, batchSize: 4, warmupSteps: 1 },
  },
  rl: {
    search: { iterations: 2, promptsPerIteration: 4, groupSize: 4, maxTokens: 96 },
    direct: { iterations: 1, promptsPerIteration: 4, groupSize: 4 },
  },
  evaluate: {
    benchmarks: { 'new-numbers': { split: 'test-numbers', count: 6 } },
    samplesPerProblem: 2,
    problemsPerChunk: 4,
    bootstrapSamples: 100,
  },
} satisfies RunConfigInput;

export interface Pipeline {
  env: TestWorkflowEnvironment;
  store: ArtifactStore;
  /** Starts workers on a queue of their own, runs `body`, and shuts them down again. */
  withWorkers<T>(body: (taskQueue: string) => Promise<T>, deps?: Partial<ActivityDeps>): Promise<T>;
  close(): Promise<void>;
}

/** A real dev server, a store in a temporary folder, and one workflow bundle for all workers of a test file. */
export async function startPipeline(): Promise<Pipeline> {
  const env = await TestWorkflowEnvironment.createLocal({
    server: { executable: { type: 'existing-path', path: temporalBinary() }, log: { format: 'json', level: 'error' } },
  });
  const folder = await mkdtemp(join(tmpdir(), 'astroflow-test-'));
  const store = folderStore(folder);
  const workflowBundle = await bundleWorkflows();
  let queues = 0;
  return {
    env,
    store,
    async withWorkers(body, deps = {}) {
      queues += 1;
      const taskQueue = `test-${process.pid}-${queues}`;
      const workers = await createWorkers({
        connection: env.nativeConnection,
        namespace: env.namespace ?? 'default',
        deps: { store, services: openServices(process.env), ...deps },
        taskQueue,
        workflowBundle,
      });
      const running = workers.run();
      try {
        return await body(taskQueue);
      } finally {
        workers.shutdown();
        await running;
      }
    },
    async close() {
      await env.teardown();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export function bundleWorkflows(): Promise<WorkflowBundleWithSourceMap> {
  return bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL('../../src/workflows/index.ts', import.meta.url)),
  });
}
