import { setTimeout as sleep } from 'node:timers/promises';
import type { DataConverter } from '@temporalio/common';
import { type NativeConnection, Worker } from '@temporalio/worker';
import type { ActivityDeps } from '../activities/deps.ts';
import { createActivities } from '../activities/index.ts';
import { activityIdentity } from '../observe/activity-identity.ts';
import type { WorkerTracing } from '../observe/tracing.ts';
import { buildIdOf, bundleWorkflows, type WorkflowBundle } from './bundle.ts';
import { type Deployment, deploymentOptions } from './deployment.ts';

/** Queue that a pipeline is started on; the others carry it as prefix. */
export const defaultTaskQueue = 'astro';

/**
 * Activities at once per queue. Sampling slots are what the bundled engine batches well; training is one at a time; jobs
 * are only waited for.
 */
export const defaultSlots = { short: 32, sample: 64, train: 2, cpu: 1, job: 100 };

/** A shutdown lets calls in flight finish for this long; then it aborts them, and another worker makes them again. */
export const defaultGraceMs = 10_000;

/** An aborted activity ends in milliseconds. One that does not hear of it is left behind: no shutdown takes longer. */
export const forceAfterMs = 5_000;

/** Heartbeats also bring back that a run was cancelled: this long until a running activity hears of it. */
const maxHeartbeatThrottleInterval = '4 seconds';

/** Whoever asks how a worker is waits a few seconds at most: so long may the server take to answer it. */
const answerMs = 2_000;

export interface WorkersOptions {
  connection: NativeConnection;
  namespace: string;
  /** The client's; left out, payloads are plain JSON. A bundle made before must have been made with its failure converter. */
  dataConverter?: DataConverter;
  deps: ActivityDeps;
  taskQueue?: string;
  graceMs?: number;
  /** Calls of the sampler at once; left out, as many as the bundled engine batches well. */
  sampleSlots?: number;
  /** A bundle made before; tests share one. Otherwise the workflows are bundled now. */
  workflowBundle?: WorkflowBundle;
  /** What traces need, where they are on; see `src/observe/tracing.ts`. */
  tracing?: WorkerTracing | undefined;
  /** Left out, these workers take any run. */
  deployment?: Deployment | undefined;
}

export interface Workers {
  run(): Promise<void>;
  shutdown(): void;
  /** Which version of a deployment they are; null without one. */
  buildId: string | null;
  /** What keeps this process from taking work: a queue that it does not poll, a server that does not answer. */
  problem(): Promise<string | null>;
}

/** Five workers in one process, one per queue. Any number of processes can serve the same queues. */
export async function createWorkers(options: WorkersOptions): Promise<Workers> {
  const { connection, namespace, deps, taskQueue = defaultTaskQueue, graceMs = defaultGraceMs } = options;
  const activities = createActivities(deps);
  const { tracing, deployment, dataConverter } = options;
  const workflowBundle = options.workflowBundle ?? (await bundleWorkflows({ dataConverter, tracing }));
  const buildId = deployment ? (deployment.buildId ?? buildIdOf(workflowBundle)) : null;
  const shared = {
    connection,
    namespace,
    activities,
    ...(dataConverter && { dataConverter }),
    ...(deployment && buildId !== null && deploymentOptions(deployment, buildId)),
    shutdownGraceTime: graceMs,
    shutdownForceTime: graceMs + forceAfterMs,
    maxHeartbeatThrottleInterval,
    ...(tracing && { sinks: tracing.sinks }),
    // Those of workflows are part of the bundle.
    interceptors: { activity: [...(tracing?.activity ?? []), activityIdentity] },
    // An eager start passes the queue by, and with it the queue's limits and the other runs' turn.
    maxEagerActivityReservationsPerWorkflowTask: 0,
  };
  const workers = [
    await Worker.create({
      ...shared,
      workflowBundle,
      taskQueue,
      maxConcurrentActivityTaskExecutions: defaultSlots.short,
      maxCachedWorkflows: 300,
    }),
    ...(await Promise.all(
      (['sample', 'train', 'cpu', 'job'] as const).map((kind) =>
        Worker.create({
          ...shared,
          taskQueue: `${taskQueue}-${kind}`,
          maxConcurrentActivityTaskExecutions: (kind === 'sample' && options.sampleSlots) || defaultSlots[kind],
        }),
      ),
    )),
  ];
  const serverProblem = askServer(connection);
  return {
    buildId,
    async run() {
      await Promise.all(workers.map((worker) => worker.run()));
    },
    shutdown() {
      for (const worker of workers) {
        if (worker.getState() === 'RUNNING') worker.shutdown();
      }
    },
    async problem() {
      for (const worker of workers) {
        const state = worker.getState();
        if (state !== 'RUNNING') return `queue ${worker.options.taskQueue} is not polled: its worker is ${state}`;
      }
      return serverProblem();
    },
  };
}

/**
 * Asks the server one small thing. The SDK goes on trying for ten seconds, whatever the deadline of a try; whoever asks
 * meanwhile waits for the same answer.
 */
function askServer(connection: NativeConnection): () => Promise<string | null> {
  let asked: Promise<string | null> | undefined;
  const ask = () =>
    connection
      .withDeadline(Date.now() + answerMs, () => connection.workflowService.getSystemInfo({}))
      .then(
        () => null,
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      )
      .finally(() => {
        asked = undefined;
      });
  return async () => {
    asked ??= ask();
    const late = new AbortController();
    const problem = await Promise.race([
      asked.finally(() => late.abort()),
      sleep(answerMs, `no answer within ${answerMs / 1000} s`, { signal: late.signal }),
    ]);
    return problem === null ? null : `the Temporal server does not answer: ${problem}`;
  };
}
