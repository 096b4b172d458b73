import type { Protocol } from '../../src/core/protocol.ts';
import type { AnswerRecord, RlIteration, StageUsage } from '../../src/core/records.ts';
import { createRandom, deriveSeed } from '../../src/core/seed.ts';
import { defaultTokenCaps, type Evaluation } from '../../src/report/scores.ts';
import { buildSummary, type SummaryInput } from '../../src/report/summary.ts';
import type { Summary } from '../../src/report/summary-schema.ts';

/** Answers of one checkpoint to 60 problems x 4 samples, right with the given probability. */
export function answersOf(checkpoint: string, benchmark: string, rate: number, backtracks = 0): AnswerRecord[] {
  return Array.from({ length: 240 }, (_, i) => {
    const random = createRandom(deriveSeed(checkpoint, benchmark, i));
    const correct = random.next() < rate;
    const truncated = !correct && random.next() < 0.5;
    return {
      schema: 'astroflow.answer/1',
      problemId: `p${Math.floor(i / 4)}`,
      family: `f${Math.floor(i / 4)}`,
      benchmark,
      sample: i % 4,
      checkpoint,
      model: checkpoint,
      text: 'Wait '.repeat(backtracks),
      tokens: truncated ? 240 : 20 + random.int(100),
      stopReason: truncated ? 'length' : 'stop',
      verdict: truncated ? { correct: false, reason: 'no answer' } : { correct, answer: 'x', reason: 'makes 38' },
      answerClass: truncated ? null : correct ? 'right' : `wrong-${random.int(3)}`,
      callId: `c${i}`,
      seed: i,
    };
  });
}

/** The same with the attempts read: each "Wait" goes back from a wrong attempt, or now and then from a right one. */
export function evaluationOf(checkpoint: string, benchmark: string, rate: number, backtracks = 0): Evaluation {
  const answers = answersOf(checkpoint, benchmark, rate, backtracks);
  const attempts = answers.map(({ verdict, answerClass }, i) => [
    ...Array.from({ length: backtracks }, (_, k) =>
      k === 0 && i % 7 === 0
        ? { correct: true, answerClass: 'right' }
        : { correct: false, answerClass: `wrong-${i % 2}` },
    ),
    { correct: verdict.correct, answerClass },
  ]);
  return { checkpoint, benchmark, answers, attempts, protocol: protocolFor(benchmark) };
}

export function protocolFor(benchmark: string): Protocol {
  return {
    schema: 'astroflow.protocol/1',
    benchmark,
    problems: { sha256: 'b'.repeat(64), count: 60 },
    task: { name: 'countdown' },
    prompts: 'd'.repeat(64),
    template: 'e'.repeat(16),
    decoding: { temperature: 1, maxTokens: 240, stops: [] },
    engine: { sampler: 'openai', prompts: 'tokens', version: null },
    grader: 1,
  };
}

export function stage(name: string, from: number, to: number, changes: Partial<StageUsage> = {}): StageUsage {
  return {
    name,
    seconds: to - from,
    calls: 10,
    tokens: 1234567,
    wastedTokens: 0,
    wastedBy: {},
    reused: false,
    startedAtMs: 1_000_000 + from * 1000,
    endedAtMs: 1_000_000 + to * 1000,
    ...changes,
  };
}

const curve = (length: number): RlIteration[] =>
  Array.from({ length }, (_, iteration) => ({
    iteration,
    meanReward: -0.3,
    passRate: 0.35,
    meanTokens: 180,
    truncated: 0.4,
    backtracksPerAnswer: 2.6,
    zeroVarianceGroups: 3,
    groups: 24,
    entropy: 0.21,
    logprobGap: iteration === 0 ? null : 0.0004,
    loss: 0.01,
    policyVersion: `v${iteration}`,
    restarts: { rollouts: iteration === 7 ? 1 : 0, update: 0, restored: iteration === 12 },
  }));

export const RATES = { base: 0.15, 'direct-sft': 0.25, 'search-sft': 0.35, 'search-rl': 0.6, 'direct-rl': 0.3 };

export function input(changes: Partial<SummaryInput> = {}): SummaryInput {
  return {
    run: 'demo',
    seed: 1,
    evaluations: ['new-numbers', 'new-problems'].flatMap((benchmark) =>
      Object.entries(RATES).map(([checkpoint, rate]) => {
        return evaluationOf(checkpoint, benchmark, rate, checkpoint.startsWith('search') ? 2 : 0);
      }),
    ),
    matrixList: 'runs/demo/matrix.jsonl',
    problemSets: [
      { set: 'search.problems', use: 'training', problems: 400, sha256: 'a'.repeat(64), familiesInTraining: null },
      {
        set: 'evaluate.benchmarks.new-numbers',
        use: 'test',
        problems: 60,
        sha256: 'b'.repeat(64),
        familiesInTraining: 0,
      },
      {
        set: 'evaluate.benchmarks.new-problems',
        use: 'test',
        problems: 60,
        sha256: 'c'.repeat(64),
        familiesInTraining: 41,
      },
    ],
    phrases: { backtrackMarker: 'Wait' },
    bootstrapSamples: 200,
    tokenCaps: defaultTokenCaps(240),
    funnel: {
      problems: 400,
      trees: 399,
      solved: 350,
      valid: 340,
      searchRows: 1020,
      directRows: 340,
      rejected: { 'no wrong terminal': 10 },
    },
    stages: [
      stage('search', 0, 60, { wastedTokens: null, wastedBy: null }),
      stage('linearize', 60, 62),
      stage('sft', 62, 120, { arm: 'search' }),
      stage('evaluate', 120, 150),
    ],
    rl: { search: curve(30) },
    versions: { astroflow: '0.1.0', engine: '0.1.0' },
    artifacts: { trees: 'search/abc' },
    ...changes,
  };
}

/** A whole run: two benchmarks, five checkpoints. Made once, it is a pure function. */
export const example: Summary = buildSummary(input());

/** A summary whose headline comparison is what a test says it is. */
export function summaryWith(headline: { difference: number; low: number; high: number; pValue: number }): Summary {
  const [first, ...others] = example.comparisons;
  return { ...example, comparisons: [{ ...first!, ...headline }, ...others] };
}
