import type { RunConfigInput } from '../../src/config/schema.ts';

/**
 * A small run of maths that is sampled on servers of one kind and trained, with LoRA, on a Tinker server: what it trains
 * must be brought to where it is sampled.
 */
export function servedRun(name: string, trainerUrl: string, sampler: object, samplesPerProblem = 2): RunConfigInput {
  const file = 'data/gsm8k-train.jsonl';
  return {
    run: name,
    salt: name,
    onFailure: 'fail',
    task: { name: 'math' },
    arms: ['search'],
    policy: {
      base: 'base',
      revision: '1',
      tokenizer: 'test/fixtures/chat/chatml',
      template: 'chat',
      sampler: { kind: 'openai', ...sampler },
      trainer: { kind: 'tinker', baseUrl: trainerUrl, loraRank: 8 },
    },
    search: { problems: { file, limit: 4 }, rounds: 3, maxStepTokens: 1000, maxRolloutTokens: 3000 },
    sft: { stepsPerChunk: 2, search: { steps: 2, batchSize: 4, warmupSteps: 1 } },
    rl: {
      difficulty: { low: 0, high: 1 },
      search: { iterations: 3, promptsPerIteration: 4, groupSize: 4, maxTokens: 4000 },
    },
    evaluate: {
      benchmarks: { first: { file, limit: 4 } },
      overlap: 'allow',
      samplesPerProblem,
      maxTokens: 4000,
      bootstrapSamples: 100,
    },
  };
}
