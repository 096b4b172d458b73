import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { homeFrom } from '../../src/cli/home.ts';
import { renderResult } from '../../src/cli/result.ts';
import { artifactNames } from '../../src/config/plan.ts';
import type { RunConfigInput } from '../../src/config/schema.ts';
import type { Progress } from '../../src/core/progress.ts';
import { summarySchema } from '../../src/report/summary-schema.ts';
import { astroPipeline } from '../../src/workflows/index.ts';
import { type Pipeline, startPipeline, tinyRun } from '../support/pipeline.ts';

let pipeline: Pipeline;
beforeAll(async () => {
  pipeline = await startPipeline();
});
afterAll(() => pipeline?.close());

describe('a run without a trainer', () => {
  it('searches, writes traces, scores the base, and says that nothing was trained', async () => {
    const file = join(pipeline.folder, 'puzzles.jsonl');
    const puzzles = ['.4.2 23.1 .... 321.', '.4.2 23.1 .... ....', '43.. .1.4 .2.. ...2'];
    await writeFile(file, puzzles.map((puzzle) => JSON.stringify({ puzzle })).join('\n'));
    const config: RunConfigInput = {
      task: { name: 'sudoku4', givens: 9 },
      policy: { ...tinyRun.policy, tokenizer: 'bytes', trainer: null },
      arms: ['direct'],
      search: { problems: { split: 'train', count: 4 }, rounds: 10, maxRolloutTokens: 500 },
      rl: { direct: { matchTokensOf: 'search' } },
      evaluate: { benchmarks: { puzzles: { file } }, samplesPerProblem: 2, maxTokens: 500, bootstrapSamples: 100 },
    };
    const result = await pipeline.withWorkers(async (taskQueue) => {
      const options = { workflowId: 'astro/untrained', taskQueue, args: [config] as [RunConfigInput] };
      const handle = await pipeline.client.workflow.start(astroPipeline, options);
      const end = await handle.result();
      const { stages } = await handle.query<Progress>('progress');
      expect(stages.map(({ name, state }) => `${name} ${state}`)).toEqual([
        'search done',
        'linearize done',
        'evaluate done',
        'report done',
      ]);
      return end;
    });
    expect(result.scores.map(({ checkpoint }) => checkpoint)).toEqual(['base']);

    const { store } = pipeline;
    const ref = await store.find(artifactNames.run('untrained', 'summary.json'));
    const summary = summarySchema.parse(await store.getJson(ref!));
    expect(summary).toMatchObject({ comparisons: [], rl: {}, covers: 'problems and samples' });
    expect(summary.funnel.searchRows).toBeGreaterThan(0);
    expect(summary.dropped).toMatchObject([{ set: 'evaluate.benchmarks.puzzles', count: 1 }]);
    expect(await store.find(summary.dropped![0]!.list)).toMatchObject({ count: 1 });

    const shown = await renderResult(result, { ...homeFrom({}, pipeline.folder), artifacts: pipeline.folder }, {
      columns: 200,
    } as NodeJS.WriteStream);
    expect(shown).toMatch(/^puzzles \(2 problems × 2 samples\)$/m);
    expect(shown).toMatch(/^base answers .* nothing was trained that it could be compared with\.$/m);
    expect(shown).toMatch(/^1 problem of puzzles left out: its answer cannot be checked, see problems\//m);
  });
});
