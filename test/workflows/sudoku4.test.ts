import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { artifactNames } from '../../src/config/plan.ts';
import type { RunConfigInput } from '../../src/config/schema.ts';
import { countBacktracks } from '../../src/core/behaviour.ts';
import type { SftRow } from '../../src/core/records.ts';
import { type SudokuProblem, sudoku4 } from '../../src/core/tasks/sudoku4.ts';
import { summarySchema } from '../../src/report/summary-schema.ts';
import { astroPipeline } from '../../src/workflows/index.ts';
import { type Pipeline, scriptedPolicy, startPipeline } from '../support/pipeline.ts';

let pipeline: Pipeline;
beforeAll(async () => {
  pipeline = await startPipeline();
});
afterAll(() => pipeline?.close());

/** A domain that knows nothing of words: any tokenizer would do, bytes need no folder. */
const run = {
  run: 'sudoku',
  task: { name: 'sudoku4' },
  policy: { ...scriptedPolicy, tokenizer: 'bytes' },
  search: { problems: { split: 'train', count: 8 }, rounds: 12, rolloutsPerChild: 2, maxRolloutTokens: 500 },
  sft: {
    search: { steps: 2, batchSize: 4, warmupSteps: 1 },
    direct: { steps: 2, batchSize: 4, warmupSteps: 1 },
  },
  rl: {
    search: { iterations: 1, promptsPerIteration: 4, groupSize: 4, maxTokens: 2000 },
    direct: { iterations: 1, promptsPerIteration: 4, groupSize: 4, maxTokens: 500 },
  },
  evaluate: {
    benchmarks: { 'new-puzzles': { split: 'test', count: 12 } },
    samplesPerProblem: 4,
    maxTokens: 2000,
    bootstrapSamples: 100,
  },
} satisfies RunConfigInput;

describe('a domain of one file', () => {
  it('goes through the whole pipeline', async () => {
    await pipeline.withWorkers((taskQueue) =>
      pipeline.client.workflow.execute(astroPipeline, { workflowId: 'astro/sudoku', taskQueue, args: [run] }),
    );
    const { store } = pipeline;
    const ref = await store.find(artifactNames.run('sudoku', 'summary.json'));
    const { funnel, scores, rl, artifacts } = summarySchema.parse(await store.getJson(ref!));
    expect(funnel).toMatchObject({ problems: 8, trees: 8 });
    expect(funnel.valid).toBeGreaterThan(4);
    expect(Object.keys(rl)).toEqual(['search', 'direct']);

    const scoreOf = (checkpoint: string) => scores.find((score) => score.checkpoint === checkpoint)!;
    expect(scores.every((score) => score.truncated === 0 && score.unanswered === 0)).toBe(true);
    expect(scoreOf('base').backtracksPerAnswer).toBe(0);
    // Whoever saw traces that go back goes back.
    expect(scoreOf('search-sft').backtracksPerAnswer).toBeGreaterThan(0);
    expect(scoreOf('direct-rl').backtracksPerAnswer).toBe(0);

    const rowsRef = await store.find(`${artifacts.linearize}/search.jsonl`);
    const rows = await store.getLines<SftRow>(rowsRef!);
    for (const row of rows) {
      expect(row.backtracks).toBe(row.plannedBacktracks);
      expect(countBacktracks(row.text, sudoku4.phrases)).toBe(row.backtracks);
      const problem = sudoku4.parseRow({ puzzle: row.problemId.slice('s4-'.length) }) as SudokuProblem;
      expect(sudoku4.verify(problem, row.text).correct).toBe(true);
    }
    expect(new Set(rows.map((row) => row.backtracks)).size).toBeGreaterThan(2);
  });
});
