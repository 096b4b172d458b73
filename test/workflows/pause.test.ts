import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type WorkflowHandle, WorkflowUpdateFailedError } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunConfigInput } from '../../src/config/schema.ts';
import type { Progress } from '../../src/core/progress.ts';
import type { Sampler } from '../../src/services/sampler/sampler.ts';
import { folderStore } from '../../src/services/store/folder.ts';
import type { ArtifactStore } from '../../src/services/store/store.ts';
import { astroPipeline, searchCorpus } from '../../src/workflows/index.ts';
import { eventCounts, historyOf } from '../support/history.ts';
import { type Pipeline, shortRun, startPipeline } from '../support/pipeline.ts';
import { filesBelow, until } from '../support/watch.ts';

let pipeline: Pipeline;
beforeAll(async () => {
  pipeline = await startPipeline();
});
afterAll(() => pipeline?.close());

const start = (run: string, taskQueue: string, config: RunConfigInput) =>
  pipeline.client.workflow.start(astroPipeline, { workflowId: `astro/${run}`, taskQueue, args: [config] });
const startSearch = (run: string, taskQueue: string, config: RunConfigInput) =>
  pipeline.client.workflow.start(searchCorpus, { workflowId: `astro/${run}/searchCorpus`, taskQueue, args: [config] });
const progressOf = (handle: Pick<WorkflowHandle, 'query'>) => handle.query<Progress>('progress');
const stageOf = (progress: Progress, name: string) => progress.stages.find((stage) => stage.name === name)!;

/** Every problem's first call waits until it is let go; which ones have begun is in `begun`. */
function gated() {
  const begun = new Set<string>();
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const sampler = (real: Sampler): Sampler => ({
    ...real,
    async sample(request, signal) {
      const [stage, , , slug] = request.callId.split('/');
      if (stage === 'search') {
        begun.add(slug!);
        await opened;
      }
      return real.sample(request, signal);
    },
  });
  return { begun, open, sampler };
}

describe('a paused run', () => {
  const config: RunConfigInput = {
    ...shortRun,
    search: { problems: { split: 'train', count: 8 }, rounds: 2, pageSize: 4, concurrency: 2, shards: 2 },
  };

  it('begins no further problem, and once resumed makes what an undisturbed run makes', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'astroflow-paused-'));
    const { begun, open, sampler } = gated();
    try {
      await pipeline.withWorkers(
        async (taskQueue) => {
          const handle = await start('steady', taskQueue, { ...config, run: 'steady' });
          await until(() => begun.size === 4);
          await handle.executeUpdate('pause');
          // Twice is once.
          await handle.executeUpdate('pause');
          const shards = ['00', '01'].map((shard) =>
            pipeline.client.workflow.getHandle(`astro/steady/search/shard-${shard}`),
          );
          for (const shard of shards) await until(async () => (await progressOf(shard)).paused === true);
          open();
          // The two in flight of each shard finish; nothing follows them.
          for (const shard of shards) await until(async () => (await progressOf(shard)).stages[0]!.done === 2);
          const paused = await progressOf(handle);
          expect(paused).toMatchObject({ paused: true, workflowId: 'astro/steady' });
          expect(stageOf(paused, 'search').state).toBe('paused');
          for (const shard of shards) {
            const { EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED: begunThere } = eventCounts(
              await historyOf(shard),
            );
            expect(begunThere).toBe(2);
          }
          const { currentDetails } = await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata');
          expect(currentDetails).toContain('**Paused.**');

          await handle.executeUpdate('resume');
          await handle.executeUpdate('resume');
          await handle.result();
          expect((await progressOf(handle)).paused).toBeUndefined();
          const history = await historyOf(handle);
          expect(eventCounts(history).EVENT_TYPE_WORKFLOW_TASK_FAILED).toBeUndefined();
        },
        { sampler, store: () => folderStore(join(folder, 'paused')) },
      );
      await pipeline.withWorkers(
        async (taskQueue) => (await start('undisturbed', taskQueue, { ...config, run: 'steady' })).result(),
        { store: () => folderStore(join(folder, 'undisturbed')) },
      );
      const [paused, undisturbed] = [
        await filesBelow(join(folder, 'paused')),
        await filesBelow(join(folder, 'undisturbed')),
      ];
      expect([...paused.keys()]).toEqual([...undisturbed.keys()]);
      // Summaries hold times; trees, rows and answers do not.
      const content = [...undisturbed].filter(([name]) => /\/(tree|round-\d+)\.json$|\.jsonl$/.test(name));
      expect(content.length).toBeGreaterThan(8 * 3);
      for (const [name, bytes] of content) expect([name, paused.get(name)]).toEqual([name, bytes]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('stays paused where a workflow continues as new', async () => {
    let writing = false;
    let open = () => {};
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    /** The index of the first page waits: pausing then is too late for the page, and in time for the next run. */
    const store = (real: ArtifactStore): ArtifactStore => ({
      ...real,
      async putLines(name, rows) {
        if (name.endsWith('/from-0000000.jsonl') && name.includes('/index-')) {
          writing = true;
          await opened;
        }
        return real.putLines(name, rows);
      },
    });
    const problems = { split: 'train', count: 4 };
    const pages: RunConfigInput = {
      ...shortRun,
      salt: 'pages',
      search: { problems, rounds: 2, pageSize: 2, concurrency: 2 },
    };
    await pipeline.withWorkers(
      async (taskQueue) => {
        const handle = await startSearch('pages', taskQueue, pages);
        await until(() => writing);
        await handle.executeUpdate('pause');
        const shard = pipeline.client.workflow.getHandle('astro/pages/search/shard-00');
        await until(async () => (await progressOf(shard)).paused === true);
        const first = (await shard.describe()).runId;
        open();
        await until(async () => (await shard.describe()).runId !== first);
        const { paused, stages } = await progressOf(shard);
        expect([paused, stages[0]!.state, stages[0]!.done]).toEqual([true, 'paused', 2]);
        await handle.executeUpdate('resume');
        await handle.result();
        expect(stageOf(await progressOf(handle), 'search')).toMatchObject({ state: 'done', done: 4 });
      },
      { store },
    );
  });

  it('begins no further rounds of the problems in flight', async () => {
    const { begun, open, sampler } = gated();
    await pipeline.withWorkers(
      async (taskQueue) => {
        const rounds = { ...config.search, rounds: 2, roundsPerActivity: 1, shards: 1, concurrency: 1 };
        const handle = await startSearch('rounds', taskQueue, { ...config, salt: 'rounds', search: rounds });
        await until(() => begun.size === 1);
        await handle.executeUpdate('pause');
        const problem = pipeline.client.workflow.getHandle(`astro/rounds/search/${[...begun][0]}`);
        const events = async () => (await historyOf(problem)).events.map(({ eventType }) => eventType);
        await until(async () => (await events()).includes('EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED'));
        open();
        await until(async () => {
          const sofar = await events();
          const first = sofar.indexOf('EVENT_TYPE_ACTIVITY_TASK_COMPLETED');
          return first > 0 && sofar.slice(first).includes('EVENT_TYPE_WORKFLOW_TASK_COMPLETED');
        });
        expect((await events()).filter((type) => type === 'EVENT_TYPE_ACTIVITY_TASK_SCHEDULED')).toHaveLength(1);
        await handle.executeUpdate('resume');
        expect(await problem.result()).toMatchObject({ finished: true, rounds: 2 });
        await handle.result();
      },
      { sampler },
    );
  });

  it('can be cancelled', async () => {
    const { begun, open, sampler } = gated();
    await pipeline.withWorkers(
      async (taskQueue) => {
        const handle = await start('paused-cancelled', taskQueue, { ...config, salt: 'paused-cancelled' });
        await until(() => begun.size === 4);
        await handle.executeUpdate('pause');
        open();
        await until(async () => stageOf(await progressOf(handle), 'search').state === 'paused');
        await handle.cancel();
        await expect(handle.result()).rejects.toThrow(/cancelled/i);
        await expect(handle.executeUpdate('resume')).rejects.toThrow();
      },
      { sampler },
    );
  });

  it('is not asked anything, and says so', async () => {
    const { begun, open, sampler } = gated();
    await pipeline.withWorkers(
      async (taskQueue) => {
        const handle = await startSearch('unasked', taskQueue, { ...config, salt: 'unasked' });
        await until(() => begun.size > 0);
        const refusal = async (argument: object | null) => {
          const sent = handle.executeUpdate<void, [object | null]>('resolve', { args: [argument] });
          const error = await sent.catch((refused: unknown) => refused);
          expect(error).toBeInstanceOf(WorkflowUpdateFailedError);
          return (error as WorkflowUpdateFailedError).cause!.message;
        };
        expect(await refusal({ action: 'retry' })).toMatch(/nothing is asked/);
        expect(await refusal({ action: 'again' })).toMatch(/one of "retry", "skip", "abort"/);
        expect(await refusal(null)).toMatch(/one of "retry", "skip", "abort"/);
        open();
        await handle.result();
        const { EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED } = eventCounts(await historyOf(handle));
        expect(EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED).toBeUndefined();
      },
      { sampler },
    );
  });
});
