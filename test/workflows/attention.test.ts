import { readdir } from 'node:fs/promises';
import { QueryNotRegisteredError, type WorkflowHandle, type WorkflowUpdateFailedError } from '@temporalio/client';
import { defineSearchAttributeKey } from '@temporalio/common';
import type { Workflow } from '@temporalio/workflow';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IndexedTree } from '../../src/activities/search.ts';
import { startRun } from '../../src/cli/start.ts';
import type { RunConfigInput } from '../../src/config/schema.ts';
import type { Attention, Progress, Resolution } from '../../src/core/progress.ts';
import type { AnswerRecord } from '../../src/core/records.ts';
import { searchAttributes } from '../../src/core/search-attributes.ts';
import { ServiceError } from '../../src/services/errors.ts';
import type { Sampler } from '../../src/services/sampler/sampler.ts';
import type { TextModel } from '../../src/services/text-model/text-model.ts';
import type { Trainer } from '../../src/services/trainer/trainer.ts';
import * as workflows from '../../src/workflows/index.ts';
import { eventCounts, historyOf } from '../support/history.ts';
import { type Pipeline, rootCause, shortRun, startPipeline, tinyRun } from '../support/pipeline.ts';
import { sumsRun } from '../support/sums.ts';
import { until } from '../support/watch.ts';

const { astroPipeline, evaluate, fineTune, linearizeCorpus, reinforce, searchCorpus } = workflows;

let pipeline: Pipeline;
beforeAll(async () => {
  pipeline = await startPipeline();
});
afterAll(() => pipeline?.close());

const start = (workflow: Workflow, taskQueue: string, input: object, workflowId: string) =>
  pipeline.client.workflow.start(workflow, { workflowId, taskQueue, args: [input] });
const progressOf = (handle: WorkflowHandle) => handle.query<Progress>('progress');
const resolve = (handle: WorkflowHandle, action: Resolution) =>
  handle.executeUpdate<void, [object]>('resolve', { args: [{ action }] });
const refusalOf = async (handle: WorkflowHandle, action: Resolution) => {
  const error = await resolve(handle, action).catch((refused: unknown) => refused);
  return (error as WorkflowUpdateFailedError).cause!.message;
};

/** Waits until the run asks, and gives what it asks. */
async function question(handle: WorkflowHandle): Promise<Attention> {
  let asked: Attention | undefined;
  await until(async () => {
    const progress = await progressOf(handle).catch((error: unknown) => {
      // A stage started alone checks its configuration first.
      if (error instanceof QueryNotRegisteredError) return null;
      throw error;
    });
    asked = progress?.stages.find(({ state }) => state === 'attention')?.attention;
    return asked !== undefined;
  });
  return asked!;
}

const refusal = (message: string) => new ServiceError('fatal', message, { service: 'sampler' });

/** A sampler that refuses what `isRefused` says, until it is mended. */
function refusing(isRefused: (callId: string) => boolean) {
  let mended = false;
  return {
    mend: () => {
      mended = true;
    },
    sampler: (real: Sampler): Sampler => ({
      ...real,
      sample: (request, signal) =>
        !mended && isRefused(request.callId)
          ? Promise.reject(refusal('no model "scripted-base"'))
          : real.sample(request, signal),
    }),
  };
}
const ofSearch = (callId: string) => callId.startsWith('search/');
const slugOf = (callId: string) => callId.split('/')[3]!;

const asking = { ...shortRun, onFailure: 'ask' } satisfies RunConfigInput;

describe('a search that the service refuses', () => {
  it('asks through the whole run, and goes on from there once it is told to retry', async () => {
    const { mend, sampler } = refusing(ofSearch);
    await pipeline.withWorkers(
      async (taskQueue) => {
        const config = { ...asking, salt: 'retried' };
        const handle = await start(astroPipeline, taskQueue, config, 'astro/retried');
        const asked = await question(handle);
        expect(asked.what).toMatch(/^problem /);
        expect(asked.why).toBe('ServiceRefused: no model "scripted-base"');
        expect(Object.keys(asked.offers)).toEqual(['retry', 'skip', 'abort']);
        expect(Date.now() - asked.sinceMs).toBeLessThan(60_000);
        const { currentDetails } = await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata');
        expect(currentDetails).toContain('**Needs attention**');
        expect(currentDetails).toContain('`{ "action": "retry" }`');

        const shard = pipeline.client.workflow.getHandle('astro/retried/search/shard-00');
        // The others fail meanwhile and share the question.
        await until(async () => {
          const { EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED: failed } = eventCounts(await historyOf(shard));
          return failed === 4;
        });
        mend();
        await resolve(handle, 'retry');
        await handle.result();
        const { stages } = await progressOf(handle);
        expect(stages.map(({ state, attention }) => [state, attention])).toEqual(stages.map(() => ['done', undefined]));
        const counts = eventCounts(await historyOf(shard));
        expect(counts.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED).toBe(4);
        expect(counts.EVENT_TYPE_WORKFLOW_TASK_FAILED).toBeUndefined();
        const search = pipeline.client.workflow.getHandle('astro/retried/search');
        expect(await search.result()).toMatchObject({ trees: { problems: 4, trees: 4 } });
      },
      { sampler },
    );
  });

  it('leaves a problem behind, with the reason, when told to skip it', async () => {
    let hopeless = '';
    const { sampler } = refusing((callId) => {
      hopeless ||= slugOf(callId);
      return slugOf(callId) === hopeless;
    });
    const searched = await pipeline.withWorkers(
      async (taskQueue) => {
        const config = { ...asking, salt: 'skipped', search: { ...asking.search, concurrency: 1 } };
        const handle = await start(searchCorpus, taskQueue, config, 'astro/skipped/searchCorpus');
        await question(handle);
        // Nothing new is begun while it asks.
        const shard = pipeline.client.workflow.getHandle('astro/skipped/search/shard-00');
        expect(eventCounts(await historyOf(shard)).EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED).toBe(1);
        await resolve(handle, 'skip');
        return handle.result();
      },
      { sampler },
    );
    expect(searched).toMatchObject({ trees: { problems: 4, trees: 3 } });
    const files = await readdir(pipeline.folder, { recursive: true });
    const index = files.find((name) => name.includes(`${searched.key}/index-`) && name.endsWith('.jsonl'))!;
    const rows = await pipeline.store.getLines<IndexedTree>((await pipeline.store.find(index))!);
    expect(rows.flatMap(({ slug, failure }) => (failure ? [[slug, failure]] : []))).toEqual([
      [hopeless, 'no model "scripted-base"'],
    ]);
  });

  it('ends the run with the original failure when told to abort', async () => {
    const { sampler } = refusing(ofSearch);
    await pipeline.withWorkers(
      async (taskQueue) => {
        const handle = await start(astroPipeline, taskQueue, { ...asking, salt: 'aborted' }, 'astro/aborted');
        await question(handle);
        await resolve(handle, 'abort');
        const cause = rootCause(await handle.result().catch((error: unknown) => error));
        expect(cause).toMatchObject({ type: 'ServiceRefused', message: 'no model "scripted-base"' });
        expect((await progressOf(handle)).stages[0]).toMatchObject({ state: 'failed' });
      },
      { sampler },
    );
  });

  it('can be cancelled while it asks', async () => {
    const { sampler } = refusing(ofSearch);
    await pipeline.withWorkers(
      async (taskQueue) => {
        const handle = await start(astroPipeline, taskQueue, { ...asking, salt: 'called-off' }, 'astro/called-off');
        await question(handle);
        await handle.cancel();
        await expect(handle.result()).rejects.toThrow(/cancelled/i);
        expect((await handle.describe()).status.name).toBe('CANCELLED');
      },
      { sampler },
    );
  });
});

describe('a server that has the search attribute', () => {
  it('lists the runs that ask, if they were started by the command', async () => {
    const { operatorService } = pipeline.env.connection;
    await operatorService.addSearchAttributes({
      namespace: 'default',
      searchAttributes: { [searchAttributes.attention]: 5 },
    });
    const asking = async () => {
      const found: string[] = [];
      const query = `${searchAttributes.attention} = true AND ExecutionStatus = 'Running'`;
      for await (const { workflowId } of pipeline.client.workflow.list({ query })) found.push(workflowId);
      return found;
    };
    const { mend, sampler } = refusing(ofSearch);
    await pipeline.withWorkers(
      async (taskQueue) => {
        const document = {
          ...shortRun,
          onFailure: 'ask',
          salt: 'listed',
          search: { ...shortRun.search, concurrency: 1 },
        };
        const options = { workflow: 'astroPipeline', run: 'listed', document, taskQueue };
        const handle = await startRun(pipeline.client, options);
        await question(handle);
        await until(async () => (await asking()).length > 0);
        expect(await asking()).toEqual(['astro/listed']);
        mend();
        await resolve(handle, 'retry');
        await handle.result();
        const { typedSearchAttributes } = await handle.describe();
        expect(typedSearchAttributes.get(defineSearchAttributeKey(searchAttributes.attention, 'BOOL'))).toBe(false);
        expect(eventCounts(await historyOf(handle)).EVENT_TYPE_WORKFLOW_TASK_FAILED).toBeUndefined();
      },
      { sampler },
    );
  });
});

describe('training that fails for good', () => {
  const config = {
    ...asking,
    salt: 'trained',
    sft: { stepsPerChunk: 1, search: { steps: 2, batchSize: 4, warmupSteps: 1 } },
    rl: { search: { ...tinyRun.rl.search, iterations: 2 } },
  } satisfies RunConfigInput;

  beforeAll(async () => {
    await pipeline.withWorkers(async (taskQueue) => {
      for (const workflow of [searchCorpus, linearizeCorpus])
        await (await start(workflow, taskQueue, config, `astro/trained/${workflow.name}`)).result();
    });
  });

  it('cannot be skipped, and a retry never trains on the model that the failed attempt had', async () => {
    const operations: string[] = [];
    let mended = false;
    const trainer = (real: Trainer): Trainer => ({
      ...real,
      restore: (...args) => {
        operations.push('restore');
        return real.restore(...args);
      },
      step: (...args) => {
        operations.push('step');
        // The second chunk's.
        return !mended && operations.filter((operation) => operation === 'step').length > 1
          ? Promise.reject(refusal('this batch is too long'))
          : real.step(...args);
      },
    });
    await pipeline.withWorkers(
      async (taskQueue) => {
        const handle = await start(fineTune, taskQueue, { ...config, arm: 'search' }, 'astro/trained/fineTune');
        expect(await question(handle)).toMatchObject({
          what: 'steps 2 to 2',
          why: 'ServiceRefused: this batch is too long',
        });
        expect(await refusalOf(handle, 'skip')).toMatch(
          /skip is not possible for steps 2 to 2: .*; use retry or abort/,
        );
        mended = true;
        await resolve(handle, 'retry');
        expect(await handle.result()).toMatchObject({ checkpoint: { step: 2 } });
      },
      { trainer },
    );
    expect(operations.slice(0, 5)).toEqual(['restore', 'step', 'step', 'restore', 'step']);
  });

  it('ends an arm whose training collapsed where it is, if told to skip', async () => {
    const guarded = { ...config, rl: { ...config.rl, guards: { minEntropy: 100 } } };
    await pipeline.withWorkers(async (taskQueue) => {
      const handle = await start(reinforce, taskQueue, guarded, 'astro/trained/reinforce');
      const asked = await question(handle);
      expect(asked.why).toMatch(/^TrainingCollapsed: .*entropy/);
      expect(await refusalOf(handle, 'retry')).toMatch(/retry is not possible .* use skip or abort/);
      await resolve(handle, 'skip');
      const ended = await handle.result();
      expect(ended).toMatchObject({ iterations: 1 });
      expect(ended.stopped).toMatch(/entropy/);
    });
  });
});

describe('other stages', () => {
  it('share one question among all benchmark chunks that fail', async () => {
    const config = {
      ...asking,
      salt: 'scored',
      arms: ['search'],
      policy: { ...asking.policy, trainer: null },
      evaluate: { ...asking.evaluate, benchmarks: { new: { split: 'test-numbers', count: 6 } }, problemsPerChunk: 1 },
    } satisfies RunConfigInput;
    const asked = new Set<string>();
    const { mend, sampler } = refusing((callId) => {
      asked.add(callId);
      return true;
    });
    await pipeline.withWorkers(
      async (taskQueue) => {
        const handle = await start(evaluate, taskQueue, config, 'astro/scored/evaluate');
        const { sinceMs } = await question(handle);
        // All four that may be in flight.
        await until(() => asked.size === 4);
        expect((await question(handle)).sinceMs).toBe(sinceMs);
        await until(async () => {
          const { EVENT_TYPE_ACTIVITY_TASK_FAILED: failed } = eventCounts(await historyOf(handle));
          return failed === 4;
        });
        mend();
        await resolve(handle, 'retry');
        expect(await handle.result()).toMatchObject({ usage: { calls: 6 } });
      },
      { sampler },
    );
  });

  it('record a problem that gets no answer as an error, and go on, if told to skip a benchmark chunk', async () => {
    const config = {
      ...asking,
      salt: 'errored',
      policy: { ...asking.policy, trainer: null },
      evaluate: { ...asking.evaluate, benchmarks: { new: { split: 'test-numbers', count: 3 } } },
    } satisfies RunConfigInput;
    let hopeless = '';
    const sampler = (real: Sampler): Sampler => ({
      ...real,
      sample: (request, signal) => {
        hopeless ||= request.prompts[1]!.text;
        const isTooLong = request.prompts.some(({ text }) => text === hopeless);
        return isTooLong ? Promise.reject(refusal('the prompt is too long')) : real.sample(request, signal);
      },
    });
    await pipeline.withWorkers(
      async (taskQueue) => {
        const handle = await start(evaluate, taskQueue, config, 'astro/errored/evaluate');
        const asked = await question(handle);
        expect(asked).toMatchObject({ what: 'base, new from 0', why: 'ServiceRefused: the prompt is too long' });
        expect(asked.offers.skip).toMatch(/problem by problem/);
        await resolve(handle, 'skip');
        const { key } = await handle.result();
        const [answers] = (await pipeline.store.list(`evaluate/${key}/base`)).map(
          (name) => `evaluate/${key}/base/${name}`,
        );
        const records = await pipeline.store.getLines<AnswerRecord>((await pipeline.store.find(answers!))!);
        expect(records.map(({ error }) => error)).toEqual([undefined, 'the prompt is too long', undefined]);
        expect(eventCounts(await historyOf(handle)).EVENT_TYPE_WORKFLOW_TASK_FAILED).toBeUndefined();
      },
      { sampler },
    );
  });

  it('leave a tree behind whose narration is refused, if told to', async () => {
    const config = { ...sumsRun, onFailure: 'ask', salt: 'narrated' } satisfies RunConfigInput;
    let hopeless = '';
    const textModel = (real: TextModel): TextModel => ({
      ...real,
      ask: (request, signal) => {
        hopeless ||= slugOf(request.callId);
        return slugOf(request.callId) === hopeless ? Promise.reject(refusal('too long')) : real.ask(request, signal);
      },
    });
    await pipeline.withWorkers(
      async (taskQueue) => {
        await (await start(searchCorpus, taskQueue, config, 'astro/narrated/searchCorpus')).result();
        const handle = await start(linearizeCorpus, taskQueue, config, 'astro/narrated/linearizeCorpus');
        const asked = await question(handle);
        expect(asked).toMatchObject({ what: `the tree ${hopeless}`, why: 'ServiceRefused: too long' });
        await resolve(handle, 'skip');
        const { funnel } = await handle.result();
        expect(funnel!.rejected['narration failed: too long']).toBe(1);
        expect(funnel!.valid).toBeGreaterThan(0);
      },
      { textModel },
    );
  });

  it('are started again where somebody terminated one', async () => {
    let begun = () => {};
    const hasBegun = new Promise<void>((happened) => {
      begun = happened;
    });
    let open = () => {};
    const opened = new Promise<void>((happened) => {
      open = happened;
    });
    const sampler = (real: Sampler): Sampler => ({
      ...real,
      async sample(request, signal) {
        begun();
        await opened;
        return real.sample(request, signal);
      },
    });
    await pipeline.withWorkers(
      async (taskQueue) => {
        const config = { ...asking, salt: 'terminated' };
        const handle = await start(astroPipeline, taskQueue, config, 'astro/terminated');
        await hasBegun;
        await pipeline.client.workflow.getHandle('astro/terminated/search').terminate('by hand');
        expect((await question(handle)).what).toBe('the stage itself');
        open();
        await resolve(handle, 'retry');
        expect(await handle.result()).toMatchObject({ run: 'terminated' });
      },
      { sampler },
    );
  });
});
