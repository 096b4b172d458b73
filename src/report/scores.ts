import type { TextAttempt } from '../core/attempts.ts';
import { accuracyAtCaps, behaviour, countAnswers, isRight, revisions } from '../core/behaviour.ts';
import { type Protocol, protocolHash } from '../core/protocol.ts';
import type { AnswerRecord } from '../core/records.ts';
import { deriveSeed } from '../core/seed.ts';
import { bootstrapMean } from '../core/stats/bootstrap.ts';
import { majAtK } from '../core/stats/maj-at-k.ts';
import { passAtK } from '../core/stats/pass-at-k.ts';
import { mean, type ProblemScores, varianceComponents } from '../core/stats/samples.ts';
import { wilson } from '../core/stats/wilson.ts';
import type { Score } from './summary-schema.ts';

/** All answers of one checkpoint to one benchmark. */
export interface Evaluation {
  checkpoint: string;
  benchmark: string;
  answers: readonly AnswerRecord[];
  /** The attempts of each answer, in their order; absent where nobody read them. */
  attempts?: readonly (readonly TextAttempt[])[];
  /** How it was asked and graded; absent where that is not known. */
  protocol?: Protocol;
}

export interface ScoreOptions {
  seed: number;
  phrases: { backtrackMarker: string };
  bootstrapSamples: number;
  tokenCaps: readonly number[];
}

/** Six caps up to the limit, closer together where short answers end. */
export function defaultTokenCaps(maxTokens: number): number[] {
  return [...new Set([1 / 8, 1 / 4, 3 / 8, 1 / 2, 3 / 4, 1].map((part) => Math.ceil(maxTokens * part)))];
}

export function scoreOf(evaluation: Evaluation, options: ScoreOptions): Score {
  const { checkpoint, benchmark, answers, attempts, protocol } = evaluation;
  const byProblem = groupByProblem(answers);
  const scores = problemScores(answers);
  const right = answers.filter(isRight).length;
  const independent = wilson(right, answers.length);
  const bootstrap = {
    seed: deriveSeed(options.seed, 'score', checkpoint, benchmark),
    samples: options.bootstrapSamples,
  };
  const passAt1 = bootstrapMean(scores, bootstrap);
  const given = answers.filter(({ error }) => error === undefined);
  const { answers: _given, ...behaves } = behaviour(given, options.phrases);
  return {
    checkpoint,
    benchmark,
    problems: byProblem.size,
    samplesPerProblem: Math.max(0, ...scores.map((problem) => problem.values.length)),
    attempted: answers.length,
    passAt1,
    passAt1WithoutErrors: given.length === answers.length ? passAt1 : bootstrapMean(problemScores(given), bootstrap),
    counts: countAnswers(answers),
    wilson: { low: independent.low, high: independent.high },
    variance: varianceComponents(scores),
    ...atK([...byProblem.values()]),
    ...behaves,
    accuracyAtCaps: accuracyAtCaps(answers, options.tokenCaps),
    revisions: attempts === undefined ? null : revisionsOf(answers, attempts),
    protocol: protocol === undefined ? null : protocolHash(protocol),
  };
}

/** What each problem's samples scored: 1 where right and finished, else 0. */
export function problemScores(answers: readonly AnswerRecord[]): ProblemScores[] {
  return [...groupByProblem(answers)].map(([problemId, its]) => ({
    problemId,
    values: its.map((answer) => (isRight(answer) ? 1 : 0)),
  }));
}

function revisionsOf(
  answers: readonly AnswerRecord[],
  attempts: readonly (readonly TextAttempt[])[],
): NonNullable<Score['revisions']> {
  const revised = answers.flatMap((answer, i) =>
    answer.error === undefined ? [{ attempts: attempts[i] ?? [], right: isRight(answer) }] : [],
  );
  return revisions(revised);
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
