import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TreeRows } from '../../src/activities/tree-rows.ts';
import { artifactNames } from '../../src/config/plan.ts';
import type { Progress } from '../../src/core/progress.ts';
import type { SftRow } from '../../src/core/records.ts';
import { summarySchema } from '../../src/report/summary-schema.ts';
import { ServiceError } from '../../src/services/errors.ts';
import { type ArtifactStore, CorruptArtifact } from '../../src/services/store/store.ts';
import type { TextModel } from '../../src/services/text-model/text-model.ts';
import { astroPipeline, linearizeCorpus, searchCorpus } from '../../src/workflows/index.ts';
import { eventCounts, historyOf, largestPayload } from '../support/history.ts';
import { type Pipeline, rootCause, startPipeline } from '../support/pipeline.ts';
import { sumsRun as config } from '../support/sums.ts';

let pipeline: Pipeline;
beforeAll(async () => {
  pipeline = await startPipeline();
});
afterAll(() => pipeline?.close());

const linearize = (taskQueue: string, salt: string, workflowId = `astro/${salt}/linearize`) =>
  pipeline.client.workflow.start(linearizeCorpus, { workflowId, taskQueue, args: [{ ...config, salt }] });

/** Trees searched under a salt of their own, so that a test's language stage is its own too. */
async function search(salt: string): Promise<void> {
  await pipeline.withWorkers((taskQueue) =>
    pipeline.client.workflow.execute(searchCorpus, {
      workflowId: `astro/${salt}/search`,
      taskQueue,
      args: [{ ...config, salt }],
    }),
  );
}

/** Every call that got through, by id. */
function recording(asked: string[], before: (callId: string) => Promise<void> = async () => {}) {
  return (real: TextModel): TextModel => ({
    ...real,
    async ask(request, signal) {
      await before(request.callId);
      asked.push(request.callId);
      return real.ask(request, signal);
    },
  });
}

describe('the language stage', () => {
  it('is part of the pipeline: rows by judge and narrator, its tokens in the accounts', async () => {
    const handle = pipeline.client.workflow.getHandle('astro/spoken/linearize');
    const { stages: own } = await pipeline.withWorkers(async (taskQueue) => {
      await pipeline.client.workflow.execute(astroPipeline, { workflowId: 'astro/spoken', taskQueue, args: [config] });
      return handle.query<Progress>('progress');
    });
    const ref = await pipeline.store.find(artifactNames.run('spoken', 'summary.json'));
    const { funnel, stages, artifacts } = summarySchema.parse(await pipeline.store.getJson(ref!));
    const { usage, judged, narrated } = funnel.language!;
    expect(usage.calls).toBe(judged + narrated);
    expect(stages.find(({ name }) => name === 'linearize')).toMatchObject({
      calls: usage.calls,
      tokens: usage.completionTokens,
      wastedTokens: 0,
    });
    const rowsRef = await pipeline.store.find(`${artifacts.linearize}/search.jsonl`);
    const rows = await pipeline.store.getLines<SftRow>(rowsRef!);
    expect(rows.every(({ roles }) => roles.judge === 'scripted' && roles.narrator === 'scripted')).toBe(true);

    expect(own).toMatchObject([{ state: 'done', done: 6, total: 6, unit: 'trees', tokens: usage.completionTokens }]);
    const history = await historyOf(handle);
    expect(eventCounts(history).EVENT_TYPE_WORKFLOW_TASK_FAILED).toBeUndefined();
    expect(largestPayload(history)).toBeLessThan(16 * 1024);
  });

  it('works on as many trees at a time as the roles allow', async () => {
    await search('window');
    const trees = new Set<string>();
    let most = 0;
    const watched = recording([], async (callId) => {
      const slug = callId.split('/')[3]!;
      trees.add(slug);
      most = Math.max(most, trees.size);
      // Others may begin while this one waits.
      await new Promise((resolve) => setImmediate(resolve));
    });
    const store = (real: ArtifactStore): ArtifactStore => ({
      ...real,
      putJson: async (name, value) => {
        if (name.endsWith('/rows.json')) trees.delete(name.split('/')[2]!);
        return real.putJson(name, value);
      },
    });
    await pipeline.withWorkers(async (taskQueue) => (await linearize(taskQueue, 'window')).result(), {
      textModel: watched,
      store,
    });
    expect(most).toBe(2);
  });

  it('leaves a hopeless tree behind, with its reason in the funnel', async () => {
    await search('hopeless');
    let damaged = '';
    const store = (real: ArtifactStore): ArtifactStore => ({
      ...real,
      putJson: async (name, value) => {
        if (!name.includes('/narrate-')) return real.putJson(name, value);
        damaged ||= name.split('/')[2]!;
        if (name.includes(damaged)) throw new CorruptArtifact('an answer is damaged');
        return real.putJson(name, value);
      },
    });
    const { funnel } = await pipeline.withWorkers(
      async (taskQueue) => (await linearize(taskQueue, 'hopeless')).result(),
      { store },
    );
    expect(funnel!.rejected['narration failed: an answer is damaged']).toBe(1);
    expect(funnel!.valid).toBeGreaterThan(0);
  });

  it('stops when no tree of a page comes through, and can be started again', async () => {
    await search('outage');
    const lost = (real: ArtifactStore): ArtifactStore => ({
      ...real,
      putJson: (name, value) =>
        name.includes('/judge-') ? Promise.reject(new CorruptArtifact('the disk is gone')) : real.putJson(name, value),
    });
    await pipeline.withWorkers(
      async (taskQueue) => {
        const handle = await linearize(taskQueue, 'outage');
        const cause = rootCause(await handle.result().catch((error: unknown) => error));
        expect(cause).toMatchObject({ type: 'CorruptArtifact', message: 'the disk is gone' });
      },
      { store: lost },
    );
    const { funnel } = await pipeline.withWorkers(async (taskQueue) =>
      (await linearize(taskQueue, 'outage', 'astro/outage/again')).result(),
    );
    expect(Object.keys(funnel!.rejected).filter((reason) => reason.startsWith('narration failed'))).toEqual([]);
    expect(funnel!.valid).toBeGreaterThan(0);
  });

  it('stops when the service refuses the requests themselves', async () => {
    await search('refused');
    const refuses = (real: TextModel): TextModel => ({
      ...real,
      ask: () => Promise.reject(new ServiceError('fatal', 'no such model', { service: 'chat' })),
    });
    await pipeline.withWorkers(
      async (taskQueue) => {
        const handle = await linearize(taskQueue, 'refused');
        const cause = rootCause(await handle.result().catch((error: unknown) => error));
        expect(cause).toMatchObject({ type: 'ServiceRefused', message: 'no such model' });
      },
      { textModel: refuses },
    );
  });

  it('goes on where a cancelled one stopped: no call is made twice, by nobody', async () => {
    await search('cancelled');
    const first: string[] = [];
    let waits = () => {};
    const isWaiting = new Promise<void>((resolve) => {
      waits = resolve;
    });
    /** Answers twelve requests; whoever asks then waits to be cancelled. */
    const tires = (real: TextModel): TextModel => ({
      ...real,
      ask(request, signal) {
        if (first.length < 12) {
          first.push(request.callId);
          return real.ask(request, signal);
        }
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error));
          waits();
        });
      },
    });
    await pipeline.withWorkers(
      async (taskQueue) => {
        const handle = await linearize(taskQueue, 'cancelled');
        await isWaiting;
        await handle.cancel();
        await expect(handle.result()).rejects.toThrow();
      },
      { textModel: tires },
    );
    const second: string[] = [];
    const { funnel, usage } = await pipeline.withWorkers(
      async (taskQueue) => (await linearize(taskQueue, 'cancelled', 'astro/cancelled/again')).result(),
      { textModel: recording(second) },
    );
    expect(second.length).toBeGreaterThan(0);
    const asked = [...first, ...second];
    expect(new Set(asked).size).toBe(asked.length);
    expect(usage).toEqual(funnel!.language!.usage);
    expect(usage.calls).toBe(asked.length);
    expect(await credited(first[0]!.split('/')[1]!)).toEqual(asked.sort());
  });

  /** Call ids that the stored trees of a key are made of. */
  async function credited(key: string): Promise<string[]> {
    const calls: string[] = [];
    for (const name of await readdir(pipeline.folder, { recursive: true })) {
      if (!name.startsWith(`linearize/${key}/`) || !name.endsWith('/rows.json')) continue;
      calls.push(...(await pipeline.store.getJson<TreeRows>((await pipeline.store.find(name))!)).calls);
    }
    return calls.sort();
  }
});
