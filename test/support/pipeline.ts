import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@temporalio/client';
import type { DataConverter } from '@temporalio/common';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { temporalBinary } from '../../src/cli/paths.ts';
import type { RunConfigInput } from '../../src/config/schema.ts';
import { folderStore } from '../../src/services/store/folder.ts';
import type { ArtifactStore } from '../../src/services/store/store.ts';
import { bundleWorkflows } from '../../src/workers/bundle.ts';
import { createWorkers } from '../../src/workers/worker.ts';
import { type Doubles, openScripted } from './doubles.ts';
import { sharedBundle } from './shared-bundle.ts';

/** A policy without a model behind it: deterministic texts, hash-chain checkpoints. */
export const scriptedPolicy = {
  base: 'scripted-base',
  tokenizer: 'test/fixtures/tokenizer',
  sampler: { kind: 'scripted' },
  trainer: { kind: 'scripted' },
} satisfies RunConfigInput['policy'];

/** The smallest run that visits every stage, with two pages of search. A step that fails for good ends it. */
export const tinyRun = {
  onFailure: 'fail',
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

/** The same with one arm and without RL: enough where stages only have to follow each other. */
export const shortRun = {
  ...tinyRun,
  arms: ['search'],
  search: { problems: { split: 'train', count: 4 }, rounds: 2 },
  sft: { search: { steps: 2, batchSize: 4, warmupSteps: 1 } },
  rl: { search: { iterations: 0 } },
  evaluate: {
    benchmarks: { 'new-numbers': { split: 'test-numbers', count: 2 } },
    samplesPerProblem: 1,
    bootstrapSamples: 100,
  },
} satisfies RunConfigInput;

export interface Pipeline {
  env: TestWorkflowEnvironment;
  client: Client;
  store: ArtifactStore;
  /** Where the store keeps its files. */
  folder: string;
  /** Starts workers on a queue of their own (or on the one named), runs `body`, and shuts them down again. */
  withWorkers<T>(body: (taskQueue: string) => Promise<T>, doubles?: Doubles, queue?: string): Promise<T>;
  close(): Promise<void>;
}

/**
 * Fairness as `up` and `demo` have it. A queue's tasks are spread over its partitions by chance, and each partition takes
 * turns by itself: with one, the order can be told.
 */
const dynamicConfig = [
  'matching.enableFairness=true',
  'matching.numTaskqueueReadPartitions=1',
  'matching.numTaskqueueWritePartitions=1',
];

/**
 * A real dev server, a store in a temporary folder, and one workflow bundle for all workers of a test file. Client and
 * workers write payloads by the converter that is given; `install` sets the SDK up for this process.
 */
export async function startPipeline(
  dataConverter: DataConverter = {},
  install: () => void = () => Runtime.install({ logger: new DefaultLogger('ERROR') }),
): Promise<Pipeline> {
  install();
  const env = await TestWorkflowEnvironment.createLocal({
    server: {
      executable: { type: 'existing-path', path: temporalBinary() },
      log: { format: 'json', level: 'error' },
      extraArgs: dynamicConfig.flatMap((setting) => ['--dynamic-config-value', setting]),
    },
  });
  const folder = await mkdtemp(join(tmpdir(), 'astroflow-test-'));
  const store = folderStore(folder);
  const workflowBundle =
    dataConverter.failureConverterPath === undefined ? await sharedBundle() : await bundleWorkflows({ dataConverter });
  const scripted = openScripted();
  let queues = 0;
  return {
    env,
    client: new Client({ connection: env.connection, namespace: env.namespace ?? 'default', dataConverter }),
    store,
    folder,
    async withWorkers(body, doubles = {}, queue) {
      queues += 1;
      const taskQueue = queue ?? `test-${process.pid}-${queues}`;
      const workers = await createWorkers({
        connection: env.nativeConnection,
        namespace: env.namespace ?? 'default',
        dataConverter,
        deps: { store: doubles.store?.(store) ?? store, services: scripted(doubles) },
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

/** What a caller of the pipeline reads: the failure at the bottom of a chain of causes. */
export function rootCause(error: unknown): { type?: string; message: string } {
  let cause = error as Error & { type?: string };
  while (cause.cause instanceof Error) cause = cause.cause;
  return cause;
}
