import { z } from 'zod';

/**
 * `summary.json`: every number that a report, a terminal or a figure shows. Written once per run; readers should check
 * `schema` first. Shares and scores are in [0, 1], differences in [-1, 1].
 */

const share = z.number().min(0).max(1);
const amount = z.number().min(0);
const count = z.int().min(0);
const arm = z.enum(['search', 'direct']);

const atK = z.array(z.strictObject({ k: z.int().min(1), value: share }));

const score = z.strictObject({
  checkpoint: z.string(),
  benchmark: z.string(),
  problems: count,
  /** The most samples any problem has; `attempted` counts them all. */
  samplesPerProblem: count,
  attempted: count,
  /** Mean over problems; 95 % interval from a bootstrap over problems, then samples. */
  passAt1: z.strictObject({ value: share, low: share, high: share }),
  /** Sanity check of the interval: all samples taken as independent. */
  wilson: z.strictObject({ low: share, high: share }),
  /** Variance of one sample's score, split. */
  variance: z.strictObject({ between: amount, within: amount }),
  passAtK: atK,
  majAtK: atK,
  tokensPerAnswer: amount,
  tokensPerCorrectAnswer: amount.nullable(),
  backtracksPerAnswer: amount,
  backtracksWhenRight: amount.nullable(),
  backtracksWhenWrong: amount.nullable(),
  /** Shares of answers: go back at least once; go back and end right; are cut off; hold no answer; cannot be checked. */
  backtracked: share,
  recoveries: share,
  truncated: share,
  unanswered: share,
  undecided: share,
  accuracyAtCaps: z.array(z.strictObject({ cap: count, accuracy: share })),
});

const comparison = z.strictObject({
  from: z.string(),
  to: z.string(),
  benchmark: z.string(),
  /** Problems that both have. */
  problems: count,
  /** `to` minus `from`, paired by problem. */
  difference: z.number().min(-1).max(1),
  low: z.number().min(-1).max(1),
  high: z.number().min(-1).max(1),
  pValue: share,
  /** Holm's correction over the benchmarks of this pair of checkpoints. */
  pHolm: share,
  /** What a true difference must be for these problems to show it, four times of five. */
  minimumDetectableDifference: amount.nullable(),
});

const funnel = z.strictObject({
  problems: count,
  trees: count,
  solved: count,
  valid: count,
  searchRows: count,
  directRows: count,
  rejected: z.record(z.string(), count),
  /** Present where a model judged or narrated. */
  language: z
    .strictObject({
      judged: count,
      approved: count,
      votes: count,
      unreadVotes: count,
      narrated: count,
      fallbacks: count,
      rejectedRows: z.record(z.string(), count),
      usage: z.strictObject({ calls: count, promptTokens: count, completionTokens: count }),
    })
    .optional(),
});

const stage = z.strictObject({
  name: z.string(),
  arm: arm.optional(),
  seconds: amount,
  calls: count,
  tokens: count,
  wastedTokens: count.nullable(),
  reused: z.boolean(),
  startedAtMs: amount,
  endedAtMs: amount,
});

/** Problems of one set (`evaluate.benchmarks.NAME`, `search.problems`), and where their list is in the store. */
const listed = { set: z.string(), count, list: z.string() };

const rlIteration = z.strictObject({
  iteration: count,
  meanReward: z.number(),
  passRate: share,
  meanTokens: amount,
  truncated: share,
  backtracksPerAnswer: amount,
  zeroVarianceGroups: count,
  groups: count,
  entropy: z.number(),
  logprobGap: amount.nullable(),
  loss: z.number().nullable(),
  policyVersion: z.string(),
});

export const summarySchema = z.strictObject({
  schema: z.literal('astroflow.summary/1'),
  run: z.string(),
  seed: count,
  /** What every interval covers, and so what it does not. */
  covers: z.enum(['problems and samples, one training seed', 'problems and samples']),
  scores: z.array(score),
  comparisons: z.array(comparison),
  /** Problems left out because their answers cannot be checked; absent where there were none. */
  dropped: z.array(z.strictObject(listed)).optional(),
  /** Test problems that also stand in the training data, or stood there, by benchmark; absent where there are none. */
  overlap: z.array(z.strictObject({ ...listed, exact: count, leftOut: z.boolean() })).optional(),
  funnel,
  stages: z.array(stage),
  /** First stage's start to last stage's end; reused stages took no time in this run. */
  wallSeconds: amount,
  rl: z.partialRecord(arm, z.array(rlIteration)),
  versions: z.record(z.string(), z.string()),
  /** What a stage made and where it lies, relative to the artifact store. */
  artifacts: z.record(z.string(), z.string()),
});

export type Summary = z.output<typeof summarySchema>;
export type Score = Summary['scores'][number];
export type Comparison = Summary['comparisons'][number];
