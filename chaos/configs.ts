import type { RunConfigInput } from '../src/config/schema.ts';

/** Runs that visit every stage in many short steps, so that a kill has somewhere to fall. */

const stages = {
  // Nobody is there to be asked.
  onFailure: 'fail',
  search: {
    problems: { split: 'train', count: 24 },
    rounds: 3,
    roundsPerActivity: 2,
    leavesPerRound: 2,
    childrenPerLeaf: 3,
    rolloutsPerChild: 2,
    pageSize: 8,
    concurrency: 6,
  },
  sft: {
    stepsPerChunk: 2,
    search: { steps: 6, batchSize: 8, warmupSteps: 1 },
    direct: { steps: 4, batchSize: 8, warmupSteps: 1 },
  },
  rl: {
    iterationsPerRun: 2,
    search: { iterations: 4, promptsPerIteration: 6, groupSize: 4, maxTokens: 96 },
    direct: { iterations: 3, promptsPerIteration: 6, groupSize: 4, maxTokens: 48 },
  },
  evaluate: {
    benchmarks: { 'new-numbers': { split: 'test-numbers', count: 12 } },
    samplesPerProblem: 2,
    maxTokens: 96,
    problemsPerChunk: 4,
    bootstrapSamples: 100,
  },
} satisfies RunConfigInput;

/** The same without a model: texts by script, checkpoints as hash chains. */
export const scriptedRun = {
  ...stages,
  policy: { base: 'scripted-base', sampler: { kind: 'scripted' }, trainer: { kind: 'scripted' } },
} satisfies RunConfigInput;

/** The bundled model on the bundled engine. */
export const engineRun = { ...stages, search: { ...stages.search, rounds: 2 } } satisfies RunConfigInput;

/** One arm of a few steps: for a look at whether everything works. */
export const shortRun = {
  ...scriptedRun,
  arms: ['search'],
  search: { ...stages.search, problems: { split: 'train', count: 6 }, rounds: 2, roundsPerActivity: 1 },
  sft: { stepsPerChunk: 1, search: { steps: 2, batchSize: 8, warmupSteps: 1 } },
  rl: { iterationsPerRun: 1, search: { ...stages.rl.search, iterations: 2, promptsPerIteration: 3 } },
  evaluate: {
    ...stages.evaluate,
    benchmarks: { 'new-numbers': { split: 'test-numbers', count: 4 } },
    samplesPerProblem: 1,
  },
} satisfies RunConfigInput;
