import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Workflow, WorkflowResultType } from '@temporalio/workflow';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IndexedTree } from '../../src/activities/search.ts';
import type { RunConfigInput } from '../../src/config/schema.ts';
import type { Progress } from '../../src/core/progress.ts';
import { ServiceError } from '../../src/services/errors.ts';
import type { Sampler } from '../../src/services/sampler/sampler.ts';
import { folderStore } from '../../src/services/store/folder.ts';
import { type ArtifactStore, CorruptArtifact } from '../../src/services/store/store.ts';
import * as workflows from '../../src/workflows/index.ts';
import { eventCounts, historyOf } from '../support/history.ts';
import { type Pipeline, rootCause, shortRun, startPipeline, tinyRun } from '../support/pipeline.ts';

const { astroPipeline, evaluate, fineTune, linearizeCorpus, reinforce, searchCorpus, searchProblem } = workflows;

let pipeline: Pipeline;
beforeAll(async () => {
  pipeline = await startPipeline();
});
afterAll(() => pipeline?.close());

const start = (workflow: Workflow | string, taskQueue: string, input: unknown, workflowId: string) =>
  pipeline.client.workflow.start(workflow as Workflow, { workflowId, taskQueue, args: [input] });

const execute = async <W extends Workflow>(workflow: W, taskQueue: string, input: unknown, workflowId: string) =>
  (await (await start(workflow, taskQueue, input, workflowId)).result()) as WorkflowResultType<W>;

const failureOf = async (workflow: Workflow | string, taskQueue: string, input: unknown, workflowId: string) => {
  const handle = await start(workflow, taskQueue, input, workflowId);
  return rootCause(await handle.result().catch((error: unknown) => error));
};

describe('a stage started alone', () => {
  const config: RunConfigInput = {
    ...shortRun,
    salt: 'alone',
    rl: { search: { ...tinyRun.rl.search, iterations: 1 } },
  };

  it('says which workflow must run before it, and works once that has run', async () => {
    await pipeline.withWorkers(async (taskQueue) => {
      const run = (workflow: Workflow, input: object = {}) =>
        execute(workflow, taskQueue, { ...config, ...input }, `astro/alone/${workflow.name}`);
      const missing = async (workflow: Workflow) => {
        const { type, message } = await failureOf(workflow, taskQueue, config, `astro/alone/${workflow.name}-early`);
        expect(type).toBe('MissingInput');
        return /run the workflow "(\w+)"/.exec(message)?.[1];
      };
      expect(await missing(linearizeCorpus)).toBe('searchCorpus');
      expect(await run(searchCorpus)).toMatchObject({ reused: false, trees: { problems: 4, trees: 4, reused: 0 } });
      expect(await missing(fineTune)).toBe('linearizeCorpus');
      expect(await run(linearizeCorpus)).toMatchObject({ funnel: { problems: 4, trees: 4 } });
      expect(await missing(reinforce)).toBe('fineTune');
      expect(await run(fineTune, { arm: 'search' })).toMatchObject({ checkpoint: { step: 2 } });
      expect(await missing(evaluate)).toBe('reinforce');
      expect(await run(reinforce)).toMatchObject({ iterations: 1 });
      expect(await run(evaluate)).toMatchObject({ usage: { calls: 3 } });
    });
  });

  it('knows its own progress', async () => {
    await pipeline.withWorkers(async (taskQueue) => {
      const handle = await start(searchCorpus, taskQueue, config, 'astro/alone/progress');
      await handle.result();
      const { stages } = await handle.query<Progress>('progress');
      expect(stages).toMatchObject([{ name: 'search', state: 'reused', done: 4, total: 4 }]);
    });
  });

  it('can be the search of one problem', async () => {
    await pipeline.withWorkers(async (taskQueue) => {
      const input = { ...shortRun, salt: 'one', problem: 3 };
      const found = await execute(searchProblem, taskQueue, input, 'astro/one/problem');
      expect(found).toMatchObject({ finished: true, rounds: 2 });
      const beyond = await failureOf(searchProblem, taskQueue, { ...input, problem: 4 }, 'astro/one/beyond');
      expect(beyond).toMatchObject({ type: 'MissingInput' });
    });
  });
});

describe('input that is no configuration', () => {
  it('fails any workflow at once instead of leaving it running for ever', async () => {
    await pipeline.withWorkers(async (taskQueue) => {
      for (const type of Object.keys(workflows)) {
        for (const [index, input] of ['text', { plan: {} }].entries()) {
          const { type: failure } = await failureOf(type, taskQueue, input, `astro/garbage-${index}/${type}`);
          expect([type, input, failure]).toEqual([type, input, 'InvalidConfig']);
        }
      }
    });
  });
});

describe('a run in many small pieces', () => {
  const config: RunConfigInput = {
    ...shortRun,
    search: { ...shortRun.search, problems: { split: 'train', count: 6 } },
    rl: { search: { ...tinyRun.rl.search, iterations: 2 } },
  };
  const pieces: RunConfigInput = {
    ...config,
    search: { ...config.search, pageSize: 2, shards: 2, roundsPerActivity: 1, concurrency: 1 },
    sft: { ...config.sft, stepsPerChunk: 1 },
    rl: { ...config.rl, iterationsPerRun: 1 },
  };

  it('continues as new between pages and iterations, and comes to the same result', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'astroflow-pieces-'));
    const store = folderStore(folder);
    try {
      const whole = await pipeline.withWorkers((queue) => execute(astroPipeline, queue, config, 'astro/whole'));
      const cut = await pipeline.withWorkers((queue) => execute(astroPipeline, queue, pieces, 'astro/pieces'), {
        store: () => store,
      });
      expect(cut.scores).toEqual(whole.scores);
      // The same store, cut otherwise: trees and rows serve, whatever page size wrote them.
      const other = { ...pieces, search: { ...pieces.search, pageSize: 4, shards: 1 } };
      const again = await pipeline.withWorkers((queue) => execute(astroPipeline, queue, other, 'astro/recut'), {
        store: () => store,
      });
      expect(again.scores).toEqual(whole.scores);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
    expect(await runsOf('astro/pieces/search/shard-00')).toBe(1);
    expect(await runsOf('astro/pieces/search/shard-01')).toBe(2);
    expect(await runsOf('astro/pieces/rl/search')).toBe(2);
    expect(await runsOf('astro/whole/rl/search')).toBe(1);
    const handle = pipeline.client.workflow.getHandle('astro/pieces');
    expect(eventCounts(await historyOf(handle)).EVENT_TYPE_WORKFLOW_TASK_FAILED).toBeUndefined();
  });

  /** Runs of a workflow: one, and one more for each time it continued as new. */
  async function runsOf(workflowId: string): Promise<number> {
    let runs = 0;
    for await (const _run of pipeline.client.workflow.list({ query: `WorkflowId = '${workflowId}'` })) runs += 1;
    return runs;
  }
});

describe('a problem that cannot be searched', () => {
  const config = { ...shortRun, salt: 'hopeless' } satisfies RunConfigInput;

  it('is recorded with its reason, and the run goes on without it', async () => {
    let damaged = '';
    const store = (real: ArtifactStore): ArtifactStore => ({
      ...real,
      putJson: async (name, value) => {
        if (!name.includes('/round-0000')) return real.putJson(name, value);
        damaged ||= name;
        if (name === damaged) throw new CorruptArtifact(`${name} is damaged`);
        return real.putJson(name, value);
      },
    });
    const searched = await pipeline.withWorkers(
      async (taskQueue) => {
        const handle = await start(astroPipeline, taskQueue, config, 'astro/hopeless');
        await handle.result();
        const { stages } = await handle.query<Progress>('progress');
        expect(stages.every((stage) => stage.state === 'done')).toBe(true);
        return execute(searchCorpus, taskQueue, config, 'astro/hopeless/again');
      },
      { store },
    );
    expect(searched).toMatchObject({ reused: true, trees: { problems: 4, trees: 3 } });
    const index = (await storedFiles()).find(
      (name) => name.includes(`${searched.key}/index-`) && name.endsWith('.jsonl'),
    );
    const rows = await pipeline.store.getLines<IndexedTree>((await pipeline.store.find(index!))!);
    expect(rows.filter((row) => row.tree === null).map((row) => row.failure)).toEqual([`${damaged} is damaged`]);
  });

  it('stops the run when the service refuses the requests themselves', async () => {
    const refusing = (real: Sampler): Sampler => ({
      ...real,
      sample: () => Promise.reject(new ServiceError('fatal', 'no model "scripted-base"', { service: 'sampler' })),
    });
    const refused = { ...config, salt: 'refused' };
    await pipeline.withWorkers(
      async (taskQueue) => {
        const cause = await failureOf(astroPipeline, taskQueue, refused, 'astro/refused');
        expect(cause).toMatchObject({ type: 'ServiceRefused', message: 'no model "scripted-base"' });
      },
      { sampler: refusing },
    );
  });

  it('fails the search when it is every problem', async () => {
    await pipeline.withWorkers(
      async (taskQueue) => {
        const cause = await failureOf(searchCorpus, taskQueue, { ...config, salt: 'all' }, 'astro/all/search');
        expect(cause.type).toBe('SearchFailed');
        expect(cause.message).toContain('none of 4 problems could be searched; the first failure: round lost');
      },
      {
        store: (real) => ({
          ...real,
          putJson: (name, value) =>
            name.includes('/round-') ? Promise.reject(new CorruptArtifact('round lost')) : real.putJson(name, value),
        }),
      },
    );
  });

  const storedFiles = () => readdir(pipeline.folder, { recursive: true });
});
