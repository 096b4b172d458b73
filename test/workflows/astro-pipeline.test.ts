import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { summarySchema } from '../../src/report/summary-schema.ts';
import { astroPipeline } from '../../src/workflows/index.ts';
import { type Pipeline, startPipeline, tinyRun } from '../support/pipeline.ts';

describe('the whole pipeline on scripted services', () => {
  let pipeline: Pipeline;
  beforeAll(async () => {
    pipeline = await startPipeline();
  });
  afterAll(() => pipeline?.close());

  it('runs all stages and writes a summary that the schema accepts', async () => {
    const result = await pipeline.withWorkers((taskQueue) =>
      pipeline.env.client.workflow.execute(astroPipeline, { workflowId: 'astro/tiny', taskQueue, args: [tinyRun] }),
    );
    const ref = await pipeline.store.find(result.summary);
    expect(ref).not.toBeNull();
    const summary = summarySchema.parse(await pipeline.store.getJson(ref as NonNullable<typeof ref>));
    expect(summary.scores.map((score) => score.checkpoint)).toEqual([
      'base',
      'search-sft',
      'search-rl',
      'direct-sft',
      'direct-rl',
    ]);
    expect(summary.funnel.problems).toBe(12);
    expect(summary.stages.map((stage) => stage.wastedTokens)).toEqual(summary.stages.map(() => 0));
  });
});
