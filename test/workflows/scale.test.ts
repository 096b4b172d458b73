import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readHistories } from '../../bench/histories.ts';
import { startRun } from '../../src/cli/start.ts';
import type { Sampler } from '../../src/services/sampler/sampler.ts';
import type { ArtifactStore } from '../../src/services/store/store.ts';
import { createWorkers } from '../../src/workers/worker.ts';
import { closedSampler } from '../support/closed-sampler.ts';
import { openScripted } from '../support/doubles.ts';
import { eventCounts, historyOf } from '../support/history.ts';
import { type Pipeline, scriptedPolicy, startPipeline } from '../support/pipeline.ts';

let pipeline: Pipeline;
beforeAll(async () => {
  pipeline = await startPipeline();
});
afterAll(() => pipeline?.close());

/** Pages of the large run that wait for the one slot of the CPU queue. */
const backlog = 30;

describe('two runs on one queue', () => {
  it('are served in turn: the small one does not wait for all that the large one has waiting', async () => {
    const index = closedIndex();
    await pipeline.withWorkers(
      async (taskQueue) => {
        const start = (run: string, problems: number) =>
          pipeline.client.workflow.start('searchCorpus', {
            workflowId: `astro/${run}/search`,
            taskQueue,
            args: [
              {
                run,
                salt: run,
                policy: scriptedPolicy,
                search: { problems: { split: 'train', count: problems }, rounds: 1, pageSize: 1, shards: problems },
              },
            ],
          });
        const large = await start('large', backlog + 1);
        await expect.poll(() => waiting(`${taskQueue}-cpu`), { timeout: 30_000 }).toBe(backlog);
        const small = await start('small', 1);
        await expect.poll(() => waiting(`${taskQueue}-cpu`), { timeout: 30_000 }).toBe(backlog + 1);
        index.open();
        const { key } = (await small.result()) as { key: string };
        await large.result();
        expect(index.written).toHaveLength(backlog + 2);
        const place = index.written.findIndex((name) => name.startsWith(`search/${key}/`));
        // Behind the page that was under way and those that were handed out already; by their coming it would be the last.
        expect(place).toBeLessThanOrEqual(backlog / 3);
      },
      { store: index.store },
    );
  });

  it('give their name to all that they start, and the priority that one was started with', async () => {
    await pipeline.withWorkers(async (taskQueue) => {
      const search = { problems: { split: 'train', count: 1 }, rounds: 1 };
      const handle = await startRun(pipeline.client, {
        workflow: 'searchCorpus',
        run: 'urgent',
        document: { policy: scriptedPolicy, search },
        taskQueue,
        priority: 1,
      });
      await handle.result();
      const histories = await readHistories(pipeline.client, handle.workflowId);
      expect(histories.map(({ workflowType }) => workflowType)).toEqual([
        'searchCorpus',
        'searchShard',
        'searchProblem',
      ]);
      for (const { history } of histories) {
        const [started] = history.events ?? [];
        const { priority } = started?.workflowExecutionStartedEventAttributes ?? {};
        expect(priority).toMatchObject({ priorityKey: 1, fairnessKey: 'urgent' });
        const activities = (history.events ?? []).flatMap((e) => e.activityTaskScheduledEventAttributes ?? []);
        expect(activities.length).toBeGreaterThan(0);
        for (const activity of activities) expect(activity.priority).toMatchObject({ fairnessKey: 'urgent' });
      }
    });
  });
});

describe('a search of many pages', () => {
  it('tells its parent how far it is about forty times, however many pages there are', async () => {
    const [problems, shards] = [60, 6];
    await pipeline.withWorkers(async (taskQueue) => {
      const handle = await pipeline.client.workflow.start('searchCorpus', {
        workflowId: 'astro/paged/search',
        taskQueue,
        args: [
          {
            run: 'paged',
            policy: scriptedPolicy,
            search: { problems: { split: 'train', count: problems }, rounds: 1, pageSize: 1, shards },
          },
        ],
      });
      await handle.result();
      const counts = eventCounts(await historyOf(handle));
      // Of every second problem, and of each shard's beginning and end; not of each page.
      expect(counts.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED).toBeLessThanOrEqual(problems / 2 + 2 * shards);
    });
  });
});

describe('a worker with fewer slots for sampling', () => {
  it('never asks for more at once', async () => {
    const calls = closedSampler();
    const most = { inFlight: 0, ever: 0 };
    const sampler = (real: Sampler): Sampler => ({
      ...real,
      async sample(request, signal) {
        most.inFlight += 1;
        most.ever = Math.max(most.ever, most.inFlight);
        try {
          return await calls.sampler(real).sample(request, signal);
        } finally {
          most.inFlight -= 1;
        }
      },
    });
    const workers = await createWorkers({
      connection: pipeline.env.nativeConnection,
      namespace: pipeline.env.namespace ?? 'default',
      deps: { store: pipeline.store, services: openScripted()({ sampler }) },
      taskQueue: 'few-slots',
      sampleSlots: 2,
    });
    const running = workers.run();
    const search = { problems: { split: 'train', count: 8 }, rounds: 1, concurrency: 8 };
    const handle = await pipeline.client.workflow.start('searchCorpus', {
      workflowId: 'astro/few-slots/search',
      taskQueue: 'few-slots',
      args: [{ run: 'few-slots', salt: 'few-slots', policy: scriptedPolicy, search }],
    });
    await expect.poll(() => waiting('few-slots-sample'), { timeout: 30_000 }).toBe(6);
    calls.open();
    await handle.result();
    workers.shutdown();
    await running;
    expect(most.ever).toBe(2);
  });
});

/** A store that lets pages of the search's index wait until it is opened; remembers their order. */
function closedIndex() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const written: string[] = [];
  return {
    written,
    open: () => open(),
    store: (real: ArtifactStore): ArtifactStore => ({
      ...real,
      async putLines(name, rows) {
        if (name.includes('/index-')) {
          await opened;
          written.push(name);
        }
        return real.putLines(name, rows);
      },
    }),
  };
}

/** Activities that wait in a queue. */
async function waiting(queue: string): Promise<number> {
  const { stats } = await pipeline.client.workflowService.describeTaskQueue({
    namespace: pipeline.env.namespace ?? 'default',
    taskQueue: { name: queue },
    taskQueueType: 2,
    reportStats: true,
  });
  return Number(stats?.approximateBacklogCount ?? 0);
}
