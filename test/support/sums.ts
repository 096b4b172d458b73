import type { RunConfigInput } from '../../src/config/schema.ts';
import { scriptedPolicy } from './pipeline.ts';

const scripted = { model: { kind: 'scripted' as const } };

/** Sums of three numbers as maths problems, which the scripted policy solves now and then; judged and narrated. */
export const sumsRun: RunConfigInput = {
  onFailure: 'fail',
  task: { name: 'math' },
  policy: { ...scriptedPolicy, tokenizer: 'bytes' },
  roles: { judge: scripted, narrator: scripted, concurrency: 2 },
  search: {
    problems: { file: 'test/fixtures/sums.jsonl' },
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
    benchmarks: { 'new-sums': { file: 'test/fixtures/new-sums.jsonl' } },
    samplesPerProblem: 1,
    maxTokens: 1000,
    bootstrapSamples: 100,
  },
};
