import { z } from 'zod';

/**
 * `summary.json`: every number that a report, a terminal or a figure shows. Written once per run; read it with
 * `parseSummary`. Shares and scores are in [0, 1], differences in [-1, 1]. What a summary of schema 1 does not have is
 * null or empty after parsing: not recorded.
 */

const share = z.number().min(0).max(1);
const amount = z.number().min(0);
const count = z.int().min(0);
const arm = z.enum(['search', 'direct']);

const atK = z.array(z.strictObject({ k: z.int().min(1), value: share }));

const interval = z.strictObject({ value: share, low: share, high: share });

/** How answers revise themselves: see `Revisions` in `src/core/behaviour.ts`. */
const revisions = z.strictObject({
  answers: count,
  attempts: amount,
  stated: amount,
  backtracks: amount,
  firstRight: share,
  recoveries: share,
  harmfulRevisions: share,
  repeatedWrong: amount,
});

const score = z.strictObject({
  checkpoint: z.string(),
  benchmark: z.string(),
  problems: count,
  /** The most samples any problem has; `attempted` counts them all. */
  samplesPerProblem: count,
  attempted: count,
  /** Mean over problems; 95 % interval from a bootstrap over problems, then samples. What errored counts as wrong. */
  passAt1: interval,
  /** The same without the samples that errored, and without problems of which none is left. */
  passAt1WithoutErrors: interval.nullable().default(null),
  /** What became of every sample: see `Counts` in `src/core/behaviour.ts`. */
  counts: z
    .strictObject({
      right: count,
      wrong: count,
      undecided: count,
      unanswered: count,
      truncated: count,
      errored: count,
      answered: count,
      attempted: count,
      quarantined: count,
    })
    .nullable()
    .default(null),
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
  /** `tokens`: the mean that an answer takes under the cap. */
  accuracyAtCaps: z.array(z.strictObject({ cap: count, accuracy: share, tokens: amount.nullable().default(null) })),
  /** All answers that were given, and by outcome. */
  revisions: z
    .strictObject({ all: revisions, whenRight: revisions.nullable(), whenWrong: revisions.nullable() })
    .nullable()
    .default(null),
  /** Hash of how it was asked and graded, one of `protocols`. */
  protocol: z.string().nullable().default(null),
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
  /** Whether both sides were asked and graded in the same way; otherwise the difference is not one of checkpoints alone. */
  sameProtocol: z.boolean().nullable().default(null),
});

const protocol = z.strictObject({
  hash: z.string(),
  checkpoints: z.array(z.string()),
  /** See `Protocol` in `src/core/protocol.ts`. */
  protocol: z.strictObject({
    schema: z.literal('astroflow.protocol/1'),
    benchmark: z.string(),
    problems: z.strictObject({ sha256: z.string(), count }),
    task: z.intersection(z.object({ name: z.string() }), z.record(z.string(), z.json())),
    prompts: z.string().nullable(),
    template: z.string().nullable(),
    decoding: z.strictObject({ temperature: amount, maxTokens: count, stops: z.array(z.string()) }),
    engine: z.strictObject({ sampler: z.string(), prompts: z.string().nullable(), version: z.string().nullable() }),
    grader: z.number().nullable(),
  }),
});

/** Right answers of each problem by checkpoint: at most `mostMatrixProblems` problems; `list` has them all. */
const matrix = z.strictObject({
  benchmark: z.string(),
  checkpoints: z.array(z.string()),
  problems: z.array(
    z.strictObject({
      id: z.string(),
      /** In the order of the checkpoints: right answers, and samples they are out of. */
      right: z.array(count),
      samples: z.array(count),
    }),
  ),
  /** Problems that are only in the list. */
  omitted: count,
  list: z.string(),
});

/** A problem set of the run, and how many of a benchmark's problems are of a family that training saw. */
const problemSet = z.strictObject({
  set: z.string(),
  use: z.enum(['training', 'test']),
  problems: count,
  sha256: z.string(),
  /** Null for training sets, and where the training sets are too large to compare. */
  familiesInTraining: count.nullable(),
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
  wastedBy: z
    .record(z.string(), z.strictObject({ calls: count, tokens: count }))
    .nullable()
    .default(null),
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
  restarts: z.strictObject({ rollouts: count, update: count, restored: z.boolean() }).optional(),
});

export const summarySchema = z.strictObject({
  schema: z.enum(['astroflow.summary/1', 'astroflow.summary/2']),
  run: z.string(),
  seed: count,
  /** What every interval covers, and so what it does not. */
  covers: z.enum(['problems and samples, one training seed', 'problems and samples']),
  scores: z.array(score),
  comparisons: z.array(comparison),
  protocols: z.array(protocol).default([]),
  matrix: z.array(matrix).default([]),
  problemSets: z.array(problemSet).default([]),
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

/** A summary of either schema. @throws ZodError when it is none */
export const parseSummary = (json: unknown): Summary => summarySchema.parse(json);

/** Problems of one benchmark's matrix that stand in the summary itself. */
export const mostMatrixProblems = 500;

export type Summary = z.output<typeof summarySchema>;
export type Score = Summary['scores'][number];
export type Comparison = Summary['comparisons'][number];
export type Matrix = Summary['matrix'][number];
export type ProblemSetUse = Summary['problemSets'][number];
