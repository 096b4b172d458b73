import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunConfigInput } from '../../src/config/schema.ts';
import { scriptedPolicy } from './pipeline.ts';

const sums = (triples: readonly (readonly number[])[]) =>
  triples.map(([a = 0, b = 0, c = 0]) => ({ problem: `Add up ${a}, ${b} and ${c}.`, answer: String(a + b + c) }));

const scripted = { model: { kind: 'scripted' as const } };

/** Sums of three numbers as maths problems, which the scripted policy solves now and then; judged and narrated. */
export async function sumsRun(folder: string): Promise<RunConfigInput> {
  const write = async (name: string, rows: readonly object[]) => {
    const file = join(folder, name);
    await writeFile(file, rows.map((row) => JSON.stringify(row)).join('\n'));
    return { file };
  };
  const train = [
    [41, 9, 3],
    [12, 7, 55],
    [23, 31, 8],
    [64, 15, 6],
    [37, 19, 2],
    [71, 5, 14],
  ];
  return {
    task: { name: 'math' },
    policy: { ...scriptedPolicy, tokenizer: 'bytes' },
    roles: { judge: scripted, narrator: scripted, concurrency: 2 },
    search: {
      problems: await write('sums.jsonl', sums(train)),
      rounds: 6,
      pageSize: 4,
      maxStepTokens: 200,
      maxRolloutTokens: 400,
    },
    linearize: { backtracks: [1, 2], highValue: 0.3 },
    arms: ['search'],
    sft: { search: { steps: 2, batchSize: 4, warmupSteps: 1 } },
    rl: { search: { iterations: 0 } },
    evaluate: {
      benchmarks: { 'new-sums': await write('new-sums.jsonl', sums([[90, 17, 26]])) },
      samplesPerProblem: 1,
      maxTokens: 1000,
      bootstrapSamples: 100,
    },
  };
}
