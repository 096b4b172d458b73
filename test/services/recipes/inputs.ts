import { plainPrompt, promptRow } from '../../../src/core/chat-rows.ts';
import { createRandom, deriveSeed } from '../../../src/core/seed.ts';
import { countdown } from '../../../src/core/tasks/countdown.ts';
import type { RlInput, SftInput } from '../../../src/services/jobs/recipes/shared.ts';

/** A stage of each kind as activities hand it to a recipe: Countdown with a few problems. */

const problems = countdown.generate({ split: 'train', count: 6, seed: 1 });
const random = (id: string) => createRandom(deriveSeed(1, id));
const adam = { beta1: 0.9, beta2: 0.98, eps: 1e-8, weightDecay: 0.01, gradClipNorm: 1 };
const shared = { seed: 5, task: { name: 'countdown' }, template: 'plain' } as const;

/** Completions are what a small model would write: well-formed, some right and some wrong. */
export const sftInput = (folder: string, model: string, params: Partial<SftInput['params']> = {}): SftInput => ({
  ...shared,
  model,
  folder,
  stage: 'sft',
  params: {
    steps: 12,
    batchSize: 8,
    learningRate: 1e-3,
    warmupSteps: 2,
    finalFraction: 0.1,
    trainOnPrompt: false,
    stepsPerChunk: 4,
    adam,
    ...params,
  },
  rows: problems.map((problem) => ({
    ...promptRow(countdown as never, problem),
    arm: 'search',
    completion: countdown.script(plainPrompt(countdown.prompt(problem)), random(problem.id), 2) ?? '',
    backtracks: 0,
  })),
});

export const rlInput = (folder: string, model: string, params: Partial<RlInput['params']> = {}): RlInput => ({
  ...shared,
  model,
  folder,
  stage: 'rl',
  params: {
    iterations: 12,
    matchTokensOf: null,
    promptsPerIteration: 8,
    groupSize: 4,
    maxTokens: 48,
    temperature: 1,
    learningRate: 2e-4,
    loss: 'importance_sampling',
    clipLow: 0.8,
    clipHigh: 1.2,
    lengthNormalizer: 60,
    stepsPerIteration: 1,
    adam: { ...adam, weightDecay: 0 },
    guards: { rewardDrop: 0.6, maxLogprobGap: 0.5, minEntropy: 0 },
    iterationsPerRun: 100,
    difficulty: { low: 0, high: 1 },
    ...params,
  },
  rows: problems.map((problem) => promptRow(countdown as never, problem)),
});
