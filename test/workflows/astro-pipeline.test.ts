import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { artifactNames, type Plan } from '../../src/config/plan.ts';
import type { RunConfig, RunConfigInput } from '../../src/config/schema.ts';
import type { Progress } from '../../src/core/progress.ts';
import { compareRuns } from '../../src/inspect/compare-runs.ts';
import { diffRuns } from '../../src/inspect/diff-runs.ts';
import { findEvalItem } from '../../src/inspect/eval-item.ts';
import { explain } from '../../src/inspect/explain.ts';
import type { StoredRun } from '../../src/inspect/stored-run.ts';
import { type Summary, summarySchema } from '../../src/report/summary-schema.ts';
import type { Sampler } from '../../src/services/sampler/sampler.ts';
import { astroPipeline } from '../../src/workflows/index.ts';
import { eventCounts, historyOf, largestPayload } from '../support/history.ts';
import { type Pipeline, rootCause, shortRun, startPipeline, tinyRun } from '../support/pipeline.ts';

let pipeline: Pipeline;
beforeAll(async () => {
  pipeline = await startPipeline();
});
afterAll(() => pipeline?.close());

const start = (run: string, taskQueue: string, config: RunConfigInput) =>
  pipeline.client.workflow.start(astroPipeline, { workflowId: `astro/${run}`, taskQueue, args: [config] });

async function summaryOf(run: string): Promise<Summary> {
  const ref = await pipeline.store.find(artifactNames.run(run, 'summary.json'));
  return summarySchema.parse(await pipeline.store.getJson(ref!));
}

const progressOf = (handle: Pick<WorkflowHandle, 'query'>) => handle.query<Progress>('progress');
const statesOf = async (handle: Pick<WorkflowHandle, 'query'>) =>
  Object.fromEntries(
    (await progressOf(handle)).stages.map(({ name, arm, state }) => [[name, arm].join(' ').trim(), state]),
  );

describe('the whole pipeline', () => {
  const states = ['search', 'linearize', 'sft search', 'rl search', 'sft direct', 'rl direct', 'evaluate', 'report'];

  it('runs all stages, shows them, and writes a summary that the schema accepts', async () => {
    await pipeline.withWorkers(async (taskQueue) => {
      const handle = await start('tiny', taskQueue, tinyRun);
      const result = await handle.result();
      expect(result.summary).toBe(artifactNames.run('tiny', 'summary.json'));
      expect(result.page).toBe(artifactNames.run('tiny', 'report.html'));
      expect(await pipeline.store.find(artifactNames.run('tiny', 'report.html'))).not.toBeNull();

      const { run, stages } = await progressOf(handle);
      expect(run).toBe('tiny');
      expect(stages.map(({ name, arm }) => [name, arm].join(' ').trim())).toEqual(states);
      for (const stage of stages) {
        expect(stage).toMatchObject({ state: 'done', done: stage.total });
        expect(stage.endedAtMs).toBeGreaterThanOrEqual(stage.startedAtMs!);
      }
      expect(stages.filter((stage) => stage.tokens === 0).map((stage) => stage.name)).toEqual(['linearize', 'report']);

      const config = await handle.query<RunConfig>('config');
      expect(config).toMatchObject({ run: 'tiny', seed: 1, search: { rounds: 2, exploration: 1 } });

      const metadata = await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata');
      expect(metadata.currentDetails).toContain('| stage | state | done | rate | left | tokens |  |');
      expect(metadata.currentDetails).toContain('| search | done | 12/12 problems |');

      const history = await historyOf(handle);
      expect(history.events.length).toBeLessThan(500);
      expect(largestPayload(history)).toBeLessThan(64 * 1024);
      expect(eventCounts(history).EVENT_TYPE_WORKFLOW_TASK_FAILED).toBeUndefined();
    });
    const summary = await summaryOf('tiny');
    expect(summary.scores.map((score) => score.checkpoint)).toEqual([
      'base',
      'search-sft',
      'search-rl',
      'direct-sft',
      'direct-rl',
    ]);
    expect(summary.funnel.problems).toBe(12);
    expect(summary.stages.map((stage) => stage.wastedTokens)).toEqual(summary.stages.map(() => 0));
    expect(summary.stages.every((stage) => !stage.reused)).toBe(true);
  });

  it('uses the stages of an earlier run again, and says so', async () => {
    await pipeline.withWorkers(async (taskQueue) => {
      const handle = await start('again', taskQueue, tinyRun);
      await handle.result();
      const { report, ...stages } = await statesOf(handle);
      expect(report).toBe('done');
      expect(new Set(Object.values(stages))).toEqual(new Set(['reused']));
    });
    const [first, again] = [await summaryOf('tiny'), await summaryOf('again')];
    expect(again.stages.every((stage) => stage.reused)).toBe(true);
    expect(again.scores).toEqual(first.scores);
    expect(again.funnel).toEqual(first.funnel);
  });

  it('makes only what another RL setting changes', async () => {
    const config = { ...tinyRun, rl: { ...tinyRun.rl, direct: { ...tinyRun.rl.direct, groupSize: 3 } } };
    await pipeline.withWorkers(async (taskQueue) => {
      const handle = await start('other-rl', taskQueue, config);
      await handle.result();
      expect(await statesOf(handle)).toEqual({
        search: 'reused',
        linearize: 'reused',
        'sft search': 'reused',
        'rl search': 'reused',
        'sft direct': 'reused',
        'rl direct': 'done',
        evaluate: 'done',
        report: 'done',
      });
    });
    expect((await summaryOf('other-rl')).stages.filter((stage) => stage.reused).map((stage) => stage.name)).toEqual([
      'search',
      'linearize',
      'sft',
      'rl',
      'sft',
    ]);
  });
});

describe('runs that are finished', () => {
  const storedRun = async (name: string): Promise<StoredRun> => {
    const ref = await pipeline.store.find(artifactNames.run(name, 'plan.json'));
    return { name, plan: await pipeline.store.getJson<Plan>(ref!), store: pipeline.store };
  };

  it('can be compared, told apart and explained by what they stored', async () => {
    const [tiny, other] = [await storedRun('tiny'), await storedRun('other-rl')];
    const { comparisons } = await compareRuns(tiny, other, { checkpoints: [], bootstrapSamples: 100 });
    expect(comparisons.filter(({ sameAnswers }) => !sameAnswers).map(({ to }) => to)).toEqual(['direct-rl']);
    expect(comparisons.every(({ sameProtocol }) => sameProtocol === true)).toBe(true);

    const { config, keys } = await diffRuns(tiny, other);
    expect(config).toEqual([{ path: 'rl.direct.groupSize', from: 4, to: 3 }]);
    expect(keys.filter(({ shared }) => !shared).map(({ stage }) => stage)).toEqual(['rl direct']);
    const reused = keys.filter(({ stage, reused }) => !stage.startsWith('problems') && reused.to);
    expect(reused.map(({ stage }) => stage)).toEqual(['search', 'linearize', 'sft search', 'rl search', 'sft direct']);

    const item = await findEvalItem(other, 'new-numbers/5/1@direct-rl');
    const options = { limit: 2, textLength: 1000, served: async () => [] };
    const { lineage, groups, rows, answer } = await explain(other, item, options);
    expect(lineage.map(({ stage, arm }) => [stage, arm])).toEqual([
      ['rl', 'direct'],
      ['sft', 'direct'],
      ['linearize', undefined],
      ['search', undefined],
      ['base', undefined],
    ]);
    expect(groups.map(({ arm, rewards }) => [arm, rewards.length])).toEqual([
      ['direct', 3],
      ['direct', 3],
    ]);
    expect(rows.every(({ arm, backtracks }) => arm === 'direct' && backtracks === 0)).toBe(true);
    expect(answer).toMatchObject({ sample: 1, checkpoint: 'direct-rl', graderVersion: 1 });
  });

  it('keep their protocols, the matrix of problems and the restarts of training', async () => {
    const { protocols, matrix, rl, scores, problemSets } = await summaryOf('tiny');
    expect(protocols).toMatchObject([{ checkpoints: scores.map(({ checkpoint }) => checkpoint) }]);
    expect(protocols[0]?.protocol).toMatchObject({
      prompts: expect.any(String),
      template: expect.any(String),
      grader: 1,
    });
    expect(matrix).toMatchObject([{ benchmark: 'new-numbers', omitted: 0, list: 'runs/tiny/matrix.jsonl' }]);
    expect(matrix[0]?.problems).toHaveLength(6);
    const list = await pipeline.store.find('runs/tiny/matrix.jsonl');
    expect(await pipeline.store.getLines(list!)).toHaveLength(6);
    expect(rl.search?.map(({ restarts }) => restarts)).toEqual([
      { rollouts: 0, update: 0, restored: false },
      { rollouts: 0, update: 0, restored: false },
    ]);
    expect(scores.every(({ revisions, counts }) => revisions !== null && counts?.attempted === 12)).toBe(true);
    expect(problemSets.map(({ use, familiesInTraining }) => [use, familiesInTraining])).toEqual([
      ['training', null],
      ['test', 0],
    ]);
  });
});

describe('a run that shares its problems with an earlier one', () => {
  it('searches only the ones that were added', async () => {
    const few: RunConfigInput = { ...shortRun, salt: 'shared' };
    const more: RunConfigInput = { ...few, search: { ...few.search, problems: { split: 'train', count: 6 } } };
    const asked = new Set<string>();
    const watching = (real: Sampler): Sampler => ({
      ...real,
      sample: (request, signal) => {
        if (request.callId.startsWith('search/')) asked.add(request.callId.split('/')[3]!);
        return real.sample(request, signal);
      },
    });
    await pipeline.withWorkers(
      async (taskQueue) => {
        await (await start('few', taskQueue, few)).result();
        expect(asked.size).toBe(4);
        asked.clear();
        await (await start('more', taskQueue, more)).result();
        expect(asked.size).toBe(2);
      },
      { sampler: watching },
    );
    const { stages, funnel } = await summaryOf('more');
    expect(funnel.problems).toBe(6);
    // Their tokens are counted where they were spent.
    expect(stages[0]).toMatchObject({ name: 'search', reused: false, wastedTokens: 0 });
  });
});

describe('a wrong configuration', () => {
  it('fails the run at once and starts nothing', async () => {
    await pipeline.withWorkers(async (taskQueue) => {
      const handle = await start('wrong', taskQueue, { seed: -1, bogus: true } as RunConfigInput);
      const cause = rootCause(await handle.result().catch((error: unknown) => error));
      expect(cause.type).toBe('InvalidConfig');
      expect(cause.message).toMatch(/seed.*\n.*bogus: unknown field/);
      const counts = eventCounts(await historyOf(handle));
      expect(counts.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED).toBe(1);
      expect(counts.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED).toBeUndefined();
    });
  });
});

describe('an arm that matches another’s tokens', () => {
  it('stops once it has sampled as many', async () => {
    const config: RunConfigInput = {
      ...tinyRun,
      rl: { search: tinyRun.rl.search, direct: { ...tinyRun.rl.direct, iterations: 50, matchTokensOf: 'search' } },
    };
    await pipeline.withWorkers(async (taskQueue) => (await start('matched', taskQueue, config)).result());
    const rl = (await summaryOf('matched')).stages.filter((stage) => stage.name === 'rl');
    const [search, direct] = rl.map((stage) => stage.tokens) as [number, number];
    expect(direct).toBeGreaterThanOrEqual(search);
    // At most one iteration's tokens beyond the bound.
    expect(direct - search).toBeLessThan(4 * 4 * 64);
  });
});

describe('cancelling a run', () => {
  it('cancels its children down to the sampling, and a later start goes on from what is stored', async () => {
    const config: RunConfigInput = { ...shortRun, salt: 'cancelled' };
    let waiting = 0;
    let aborted = 0;
    /** Answers once, then holds every call until it is aborted. */
    const hanging = (real: Sampler): Sampler => ({
      ...real,
      sample: (request, signal) => {
        waiting += 1;
        if (waiting === 1) return real.sample(request, signal);
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            aborted += 1;
            reject(signal.reason as Error);
          });
        });
      },
    });
    await pipeline.withWorkers(
      async (taskQueue) => {
        const handle = await start('cancelled', taskQueue, config);
        const { stages } = await untilProgress(handle, () => waiting > 1);
        expect(stages[0]).toMatchObject({ name: 'search', state: 'running' });
        await handle.cancel();
        await expect(handle.result()).rejects.toThrow(/cancelled/i);
        expect((await handle.describe()).status.name).toBe('CANCELLED');
        expect(aborted).toBeGreaterThan(0);
        expect((await statesOf(handle)).search).toBe('failed');
        const children = pipeline.client.workflow.list({ query: `TaskQueue = '${taskQueue}'` });
        for await (const child of children) expect(['CANCELLED', 'COMPLETED']).toContain(child.status.name);
      },
      { sampler: hanging },
    );
    await pipeline.withWorkers(async (taskQueue) => (await start('cancelled', taskQueue, config)).result());
    expect((await summaryOf('cancelled')).funnel.problems).toBe(4);
  });
});

/** Asks for progress until something outside has happened; each query is a round trip, so this does not spin. */
async function untilProgress(handle: WorkflowHandle<typeof astroPipeline>, happened: () => boolean): Promise<Progress> {
  for (;;) {
    const progress = await progressOf(handle);
    if (happened()) return progress;
  }
}
