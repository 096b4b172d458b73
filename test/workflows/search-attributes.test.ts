import { defineSearchAttributeKey } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { wantedAttributes } from '../../src/cli/search-attributes.ts';
import { startRun } from '../../src/cli/start.ts';
import { closedSampler } from '../support/closed-sampler.ts';
import { eventCounts, historyOf } from '../support/history.ts';
import { type Pipeline, shortRun, startPipeline } from '../support/pipeline.ts';
import { until } from '../support/watch.ts';

let pipeline: Pipeline;
beforeAll(async () => {
  pipeline = await startPipeline();
});
afterAll(() => pipeline?.close());

async function found(query: string): Promise<string[]> {
  const ids: string[] = [];
  for await (const { workflowId } of pipeline.client.workflow.list({ query })) ids.push(workflowId);
  return ids.sort();
}

const attributes = async () => {
  const { customAttributes } = await pipeline.env.connection.operatorService.listSearchAttributes({
    namespace: 'default',
  });
  return customAttributes ?? {};
};

interface Definition {
  name: string;
  description?: string;
}
interface Metadata {
  currentDetails: string;
  definition: Record<'queryDefinitions' | 'signalDefinitions' | 'updateDefinitions', Definition[]>;
}

describe('a run on a server', () => {
  it('that lacks the search attributes makes them for later runs, and goes without', async () => {
    for (const { name } of wantedAttributes) expect(await attributes()).not.toHaveProperty(name);
    await pipeline.withWorkers(async (taskQueue) => {
      const options = { workflow: 'astroPipeline', run: 'first', document: shortRun, taskQueue };
      const handle = await startRun(pipeline.client, options);
      await handle.result();
      expect(eventCounts(await historyOf(handle)).EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES).toBeUndefined();
    });
    for (const { name, code } of wantedAttributes) expect((await attributes())[name]).toBe(code);
  });

  it('that has them is found by run, stage and model, with all that it starts', async () => {
    const { sampler, open } = closedSampler();
    await pipeline.withWorkers(
      async (taskQueue) => {
        const document = { ...shortRun, salt: 'found', search: { ...shortRun.search, concurrency: 2 } };
        const options = { workflow: 'astroPipeline', run: 'found', document, taskQueue };
        const handle = await startRun(pipeline.client, options);
        const searching = "AstroflowRun = 'found' AND AstroflowStage = 'search'";
        // The root, its stage, the shard, and the two problems in flight.
        await until(async () => (await found(searching)).length === 5);
        const ids = await found(searching);
        expect(ids.slice(0, 2)).toEqual(['astro/found', 'astro/found/search']);
        expect(ids).toContain('astro/found/search/shard-00');
        expect(await found("AstroflowModel = 'scripted-base' AND AstroflowStage = 'search'")).toEqual(ids);

        for (const id of ids) {
          const workflow = pipeline.client.workflow.getHandle(id);
          const { definition } = await workflow.query<Metadata>('__temporal_workflow_metadata');
          const { queryDefinitions, signalDefinitions, updateDefinitions } = definition;
          const handlers = [...queryDefinitions, ...signalDefinitions, ...updateDefinitions];
          expect(handlers.length).toBeGreaterThan(0);
          // The SDK's own queries begin so; ours all have a text.
          const silent = handlers.filter(({ name, description }) => !name.startsWith('__') && !description);
          expect([id, silent]).toEqual([id, []]);
        }
        const { currentDetails } = await handle.query<Metadata>('__temporal_workflow_metadata');
        expect(currentDetails).toContain('Next decision: each problem ends when');
        expect(currentDetails).toContain(', then linearize');

        open();
        await handle.result();
        await until(async () => (await found("AstroflowStage = 'finished'")).includes('astro/found'));
        const { typedSearchAttributes } = await handle.describe();
        expect(typedSearchAttributes.get(defineSearchAttributeKey('AstroflowModel', 'KEYWORD'))).toBe('scripted-base');
        const sft = pipeline.client.workflow.getHandle('astro/found/sft/search');
        const stage = (await sft.describe()).typedSearchAttributes.get(
          defineSearchAttributeKey('AstroflowStage', 'KEYWORD'),
        );
        expect(stage).toBe('sft search');
        const counts = eventCounts(await historyOf(handle));
        expect(counts.EVENT_TYPE_WORKFLOW_TASK_FAILED).toBeUndefined();
        // search, linearize, sft search, evaluate, report, finished: once each.
        expect(counts.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES).toBe(6);
      },
      { sampler },
    );
  });
});
