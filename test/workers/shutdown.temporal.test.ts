import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Sampler } from '../../src/services/sampler/sampler.ts';
import type { WorkflowBundle } from '../../src/workers/bundle.ts';
import { createWorkers } from '../../src/workers/worker.ts';
import { openScripted } from '../support/doubles.ts';
import { type Pipeline, shortRun, startPipeline } from '../support/pipeline.ts';
import { sharedBundle } from '../support/shared-bundle.ts';

let pipeline: Pipeline;
let workflowBundle: WorkflowBundle;
beforeAll(async () => {
  pipeline = await startPipeline();
  workflowBundle = await sharedBundle();
});
afterAll(() => pipeline?.close());

const config = { ...shortRun, search: { problems: { split: 'train', count: 1 }, rounds: 1 } };

/** A worker of its own, as a process would have it. */
async function startWorker(taskQueue: string, graceMs: number, sampler: (real: Sampler) => Sampler) {
  const workers = await createWorkers({
    connection: pipeline.env.nativeConnection,
    namespace: pipeline.env.namespace ?? 'default',
    deps: { store: pipeline.store, services: openScripted()({ sampler }) },
    taskQueue,
    graceMs,
    workflowBundle,
  });
  const running = workers.run();
  return {
    async shutdown() {
      workers.shutdown();
      await running;
    },
  };
}

function signalled() {
  let fire: () => void = () => {};
  const fired = new Promise<void>((resolve) => {
    fire = resolve;
  });
  return { fire, fired };
}

/** What a workflow's history says of its sampling activities. */
async function sampling(workflowId: string) {
  const { events } = await pipeline.client.workflow.getHandle(workflowId).fetchHistory();
  const list = events ?? [];
  return {
    attempts: list.flatMap(({ activityTaskStartedEventAttributes: started }) => (started ? [started.attempt] : [])),
    failures: list.flatMap(({ activityTaskStartedEventAttributes: started }) => started?.lastFailure?.message ?? []),
    cancelled: list.filter(({ activityTaskCanceledEventAttributes: cancelled }) => cancelled).length,
  };
}

describe('a worker that is shut down', () => {
  it('lets a call in flight finish', async () => {
    const [asked, answer] = [signalled(), signalled()];
    const queue = 'shutdown-finish';
    const slow = (real: Sampler): Sampler => ({
      ...real,
      async sample(request, signal) {
        asked.fire();
        await answer.fired;
        signal.throwIfAborted();
        return real.sample(request, signal);
      },
    });
    const worker = await startWorker(queue, 60_000, slow);
    const input = { ...config, salt: 'finish', problem: 0 };
    const handle = await pipeline.client.workflow.start('searchProblem', {
      args: [input],
      workflowId: 'astro/finish/0',
      taskQueue: queue,
    });
    await asked.fired;
    const ended = worker.shutdown();
    answer.fire();
    await ended;
    const next = await startWorker(queue, 100, (real) => real);
    await handle.result();
    await next.shutdown();
    const { attempts, cancelled } = await sampling('astro/finish/0');
    expect([new Set(attempts), cancelled]).toEqual([new Set([1]), 0]);
  });

  it('hands over a call that does not: aborted here, made again elsewhere, cancelled by nobody', async () => {
    const [asked, aborted] = [signalled(), signalled()];
    const queue = 'shutdown-hand-over';
    const hanging = (real: Sampler): Sampler => ({
      ...real,
      sample: (_request, signal) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            aborted.fire();
            reject(new Error('socket hang up'));
          });
          asked.fire();
        }),
    });
    const worker = await startWorker(queue, 200, hanging);
    const input = { ...config, salt: 'hand-over', problem: 0 };
    const handle = await pipeline.client.workflow.start('searchProblem', {
      args: [input],
      workflowId: 'astro/hand-over/0',
      taskQueue: queue,
    });
    await asked.fired;
    await worker.shutdown();
    await aborted.fired;
    const next = await startWorker(queue, 100, (real) => real);
    await handle.result();
    await next.shutdown();
    const { attempts, failures, cancelled } = await sampling('astro/hand-over/0');
    expect(Math.max(...attempts.map(Number))).toBe(2);
    expect(failures).toEqual([expect.stringMatching(/shutting down/)]);
    expect(cancelled).toBe(0);
  });
});
