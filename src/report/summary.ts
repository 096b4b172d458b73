import { accuracyAtCaps, behaviour, isRight } from '../core/behaviour.ts';
import type { AnswerRecord, Funnel, RlIteration, StageUsage, TrainingArm } from '../core/records.ts';
import { deriveSeed } from '../core/seed.ts';
import { bootstrapMean } from '../core/stats/bootstrap.ts';
import { holm } from '../core/stats/holm.ts';
import { majAtK } from '../core/stats/maj-at-k.ts';
import { pairedDifference } from '../core/stats/paired.ts';
import { passAtK } from '../core/stats/pass-at-k.ts';
import { mean, type ProblemScores, varianceComponents } from '../core/stats/samples.ts';
import { wilson } from '../core/stats/wilson.ts';
import type { Comparison, Score, Summary } from './summary-schema.ts';
import { isTrained } from './verdict.ts';

/** All answers of one checkpoint to one benchmark. */
export interface Evaluation {
  checkpoint: string;
  benchmark: string;
  answers: readonly AnswerRecord[];
}

export interface SummaryInput {
  run: string;
  seed: number;
  /** In the order to be shown; the first benchmark is the headline. */
  evaluations: readonly Evaluation[];
  phrases: { backtrackMarker: string };
  bootstrapSamples: number;
  /** Token caps of the accuracy curve: `defaultTokenCaps(maxTokens)`. */
  tokenCaps: readonly number[];
  dropped?: Summary['dropped'];
  overlap?: Summary['overlap'];
  funnel: Funnel;
  stages: readonly StageUsage[];
  rl: Partial<Record<TrainingArm, readonly RlIteration[]>>;
  versions: Record<string, string>;
  artifacts: Record<string, string>;
}

/**
 * What is compared, where both checkpoints exist: the headline; the paper's claim in miniature (reinforcement learning
 * gains more from a search prior); what it adds to fine-tuning; the control's own gain; the search prior itself.
 */
const COMPARISONS: readonly (readonly [from: string, to: string])[] = [
  ['base', 'search-rl'],
  ['direct-rl', 'search-rl'],
  ['search-sft', 'search-rl'],
  ['base', 'direct-rl'],
  ['direct-sft', 'search-sft'],
];

/** A pure function of its input, seeds included: the same answers give the same summary. */
export function buildSummary(input: SummaryInput): Summary {
  return {
    schema: 'astroflow.summary/1',
    run: input.run,
    seed: input.seed,
    covers: isTrained(input) ? 'problems and samples, one training seed' : 'problems and samples',
    scores: input.evaluations.map((evaluation) => scoreOf(evaluation, input)),
    comparisons: COMPARISONS.flatMap(([from, to]) => compare(from, to, input)),
    ...(input.dropped && { dropped: input.dropped }),
    ...(input.overlap && { overlap: input.overlap }),
    funnel: input.funnel,
    stages: [...input.stages],
    wallSeconds: wallSeconds(input.stages),
    rl: Object.fromEntries(Object.entries(input.rl).map(([arm, iterations]) => [arm, [...iterations]])),
    versions: input.versions,
    artifacts: input.artifacts,
  };
}

/** Six caps up to the limit, closer together where short answers end. */
export function defaultTokenCaps(maxTokens: number): number[] {
  return [...new Set([1 / 8, 1 / 4, 3 / 8, 1 / 2, 3 / 4, 1].map((part) => Math.ceil(maxTokens * part)))];
}

function scoreOf(evaluation: Evaluation, input: SummaryInput): Score {
  const { checkpoint, benchmark, answers } = evaluation;
  const byProblem = groupByProblem(answers);
  const scores = problemScores(byProblem);
  const right = answers.filter(isRight).length;
  const independent = wilson(right, answers.length);
  const { answers: attempted, ...behaves } = behaviour(answers, input.phrases);
  return {
    checkpoint,
    benchmark,
    problems: byProblem.size,
    samplesPerProblem: Math.max(0, ...scores.map((problem) => problem.values.length)),
    attempted,
    passAt1: bootstrapMean(scores, {
      seed: deriveSeed(input.seed, 'score', checkpoint, benchmark),
      samples: input.bootstrapSamples,
    }),
    wilson: { low: independent.low, high: independent.high },
    variance: varianceComponents(scores),
    ...atK([...byProblem.values()]),
    ...behaves,
    accuracyAtCaps: accuracyAtCaps(answers, input.tokenCaps),
  };
}

function groupByProblem(answers: readonly AnswerRecord[]): Map<string, AnswerRecord[]> {
  const byProblem = new Map<string, AnswerRecord[]>();
  for (const answer of answers) {
    const others = byProblem.get(answer.problemId);
    if (others) others.push(answer);
    else byProblem.set(answer.problemId, [answer]);
  }
  return byProblem;
}

function problemScores(byProblem: ReadonlyMap<string, readonly AnswerRecord[]>): ProblemScores[] {
  return [...byProblem].map(([problemId, answers]) => ({
    problemId,
    values: answers.map((answer) => (isRight(answer) ? 1 : 0)),
  }));
}

/** pass@k and maj@k, means over problems, for the powers of two that every problem has enough samples for. */
function atK(problems: readonly (readonly AnswerRecord[])[]): Pick<Score, 'passAtK' | 'majAtK'> {
  const fewest = problems.length === 0 ? 0 : Math.min(...problems.map((answers) => answers.length));
  const ks: number[] = [];
  for (let k = 1; k <= fewest; k *= 2) ks.push(k);
  return {
    passAtK: ks.map((k) => ({
      k,
      value: mean(problems.map((answers) => passAtK(answers.length, answers.filter(isRight).length, k))),
    })),
    majAtK: ks.map((k) => ({ k, value: mean(problems.map((answers) => votedAtK(answers, k))) })),
  };
}

/** An answer that was cut off does not vote: it holds none, or it went on after it. */
function votedAtK(answers: readonly AnswerRecord[], k: number): number {
  const classes = new Map<string, { count: number; right: boolean }>();
  let abstentions = 0;
  for (const answer of answers) {
    if (answer.answerClass === null || answer.stopReason === 'length') {
      abstentions += 1;
      continue;
    }
    const known = classes.get(answer.answerClass);
    if (known) known.count += 1;
    else classes.set(answer.answerClass, { count: 1, right: isRight(answer) });
  }
  return majAtK([...classes.values()], abstentions, k);
}

function compare(from: string, to: string, input: SummaryInput): Comparison[] {
  const scoresOf = (checkpoint: string, benchmark: string): ProblemScores[] | undefined => {
    const found = input.evaluations.find((e) => e.checkpoint === checkpoint && e.benchmark === benchmark);
    return found && problemScores(groupByProblem(found.answers));
  };
  const benchmarks = [...new Set(input.evaluations.map((evaluation) => evaluation.benchmark))];
  const compared = benchmarks.flatMap((benchmark) => {
    const before = scoresOf(from, benchmark);
    const after = scoresOf(to, benchmark);
    if (!before || !after) return [];
    const options = { seed: deriveSeed(input.seed, 'compare', from, to, benchmark), samples: input.bootstrapSamples };
    return [{ from, to, benchmark, ...pairedDifference(before, after, options) }];
  });
  const corrected = holm(compared.map((comparison) => comparison.pValue));
  return compared.map((comparison, i) => ({ ...comparison, pHolm: corrected[i] ?? 1 }));
}

function wallSeconds(stages: readonly StageUsage[]): number {
  const ran = stages.filter((stage) => !stage.reused);
  if (ran.length === 0) return 0;
  const start = Math.min(...ran.map((stage) => stage.startedAtMs));
  const end = Math.max(...ran.map((stage) => stage.endedAtMs));
  // Times are the server's, whose clock somebody may set back during a run.
  return Math.max(0, end - start) / 1000;
}
