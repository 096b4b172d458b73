import type { TextAttempt } from './attempts.ts';
import type { AnswerRecord } from './records.ts';
import type { Task } from './task.ts';

/** What an answer must say about itself to be counted. */
type Answer = Pick<AnswerRecord, 'text' | 'tokens' | 'stopReason' | 'verdict'>;

/** How a checkpoint behaves on a set of answers: means per answer and shares of answers. */
export interface Behaviour {
  answers: number;
  tokensPerAnswer: number;
  /** All sampled tokens, those of wrong answers included, per right answer; null without one. */
  tokensPerCorrectAnswer: number | null;
  backtracksPerAnswer: number;
  /** The same split by outcome; null without such an answer. */
  backtracksWhenRight: number | null;
  backtracksWhenWrong: number | null;
  /** Share of answers that go back at least once. */
  backtracked: number;
  /** Share of answers that go back at least once and end right. */
  recoveries: number;
  /** Share cut off at the token limit, and share that holds no answer at all. */
  truncated: number;
  unanswered: number;
  /** Share the checker could not decide; counted as wrong everywhere else. */
  undecided: number;
}

/** What the attempts inside answers came to: means per answer and shares of the answers looked at. */
export interface Revisions {
  answers: number;
  attempts: number;
  /** Attempts that state an answer; one that is given up before it does is still an attempt. */
  stated: number;
  backtracks: number;
  /** Share whose first stated answer is right. An answer of a single attempt is right or wrong as a whole. */
  firstRight: number;
  /** Share that is wrong first and right at the end, and share that is right first and wrong at the end. */
  recoveries: number;
  harmfulRevisions: number;
  /** Wrong answers per answer that it had stated before. */
  repeatedWrong: number;
}

/** An answer, its attempts, and what became of it. */
export interface Revised {
  attempts: readonly TextAttempt[];
  right: boolean;
}

/**
 * How answers revise themselves, all of them and by outcome; null where there is no such answer. Over all answers,
 * accuracy = firstRight + recoveries - harmfulRevisions.
 */
export function revisions(
  answers: readonly Revised[],
): Record<'all', Revisions> & Record<'whenRight' | 'whenWrong', Revisions | null> {
  const of = (those: readonly Revised[]) => (those.length === 0 ? null : revisionsOf(those));
  return {
    all: revisionsOf(answers),
    whenRight: of(answers.filter(({ right }) => right)),
    whenWrong: of(answers.filter(({ right }) => !right)),
  };
}

function revisionsOf(answers: readonly Revised[]): Revisions {
  const mean = (measure: (answer: Revised) => number) =>
    answers.length === 0 ? 0 : answers.reduce((sum, answer) => sum + measure(answer), 0) / answers.length;
  const share = (holds: (answer: Revised) => boolean) => mean((answer) => (holds(answer) ? 1 : 0));
  return {
    answers: answers.length,
    attempts: mean(({ attempts }) => attempts.length),
    stated: mean(({ attempts }) => attempts.filter(({ answerClass }) => answerClass !== null).length),
    backtracks: mean(({ attempts }) => Math.max(0, attempts.length - 1)),
    firstRight: share(isFirstRight),
    recoveries: share((answer) => answer.right && !isFirstRight(answer)),
    harmfulRevisions: share((answer) => !answer.right && isFirstRight(answer)),
    repeatedWrong: mean(repeatedWrong),
  };
}

function isFirstRight({ attempts, right }: Revised): boolean {
  if (attempts.length < 2) return right;
  return attempts.find(({ answerClass }) => answerClass !== null)?.correct === true;
}

function repeatedWrong({ attempts }: Revised): number {
  const wrong = attempts.flatMap(({ correct, answerClass }) =>
    correct !== true && answerClass !== null ? [answerClass] : [],
  );
  return wrong.length - new Set(wrong).size;
}

/** Right and finished: an answer cut off at the token limit is wrong whatever it holds, it never said it was done. */
export function isRight(answer: Pick<AnswerRecord, 'stopReason' | 'verdict'>): boolean {
  return answer.verdict.correct === true && answer.stopReason !== 'length';
}

/** Times the text goes back: occurrences of the task's marker, which every backtrack and restart has exactly once. */
export function countBacktracks(text: string, phrases: Pick<Task['phrases'], 'backtrackMarker'>): number {
  return text.split(phrases.backtrackMarker).length - 1;
}

export function behaviour(answers: readonly Answer[], phrases: Pick<Task['phrases'], 'backtrackMarker'>): Behaviour {
  let tokens = 0;
  let right = 0;
  let backtracks = 0;
  let backtracksOfRight = 0;
  let backtracked = 0;
  let recoveries = 0;
  let truncated = 0;
  let unanswered = 0;
  let undecided = 0;
  for (const answer of answers) {
    const count = countBacktracks(answer.text, phrases);
    tokens += answer.tokens;
    backtracks += count;
    if (count > 0) backtracked += 1;
    if (isRight(answer)) {
      right += 1;
      backtracksOfRight += count;
      if (count > 0) recoveries += 1;
    }
    if (answer.stopReason === 'length') truncated += 1;
    if (answer.verdict.answer === undefined) unanswered += 1;
    if (answer.verdict.correct === 'unknown') undecided += 1;
  }
  const n = answers.length;
  const share = (part: number) => (n === 0 ? 0 : part / n);
  return {
    answers: n,
    tokensPerAnswer: share(tokens),
    tokensPerCorrectAnswer: right === 0 ? null : tokens / right,
    backtracksPerAnswer: share(backtracks),
    backtracksWhenRight: right === 0 ? null : backtracksOfRight / right,
    backtracksWhenWrong: right === n ? null : (backtracks - backtracksOfRight) / (n - right),
    backtracked: share(backtracked),
    recoveries: share(recoveries),
    truncated: share(truncated),
    unanswered: share(unanswered),
    undecided: share(undecided),
  };
}

/**
 * Accuracy and mean tokens against the token cap, from the same samples: an answer counts where it is right and finished
 * within the cap. Sampling is left to right, so a lower limit would have produced the same tokens and cut them there.
 */
export function accuracyAtCaps(
  answers: readonly Pick<AnswerRecord, 'tokens' | 'stopReason' | 'verdict'>[],
  caps: readonly number[],
): { cap: number; accuracy: number; tokens: number }[] {
  const share = (sum: number) => (answers.length === 0 ? 0 : sum / answers.length);
  return caps.map((cap) => ({
    cap,
    accuracy: share(answers.filter((answer) => isRight(answer) && answer.tokens <= cap).length),
    tokens: share(answers.reduce((sum, answer) => sum + Math.min(answer.tokens, cap), 0)),
  }));
}

/** What became of the samples asked for, each in one of the first six; `answered` is the first three together. */
export interface Counts {
  right: number;
  wrong: number;
  /** Finished, with an answer that the checker cannot decide. */
  undecided: number;
  /** Finished without an answer. */
  unanswered: number;
  /** Cut off at the token limit, whatever they hold. */
  truncated: number;
  /** The service gave no answer. */
  errored: number;
  answered: number;
  attempted: number;
  /** Problems of which every sample errored. */
  quarantined: number;
}

export function countAnswers(
  answers: readonly Pick<AnswerRecord, 'problemId' | 'stopReason' | 'verdict' | 'error'>[],
): Counts {
  const counts = { right: 0, wrong: 0, undecided: 0, unanswered: 0, truncated: 0, errored: 0 };
  const problems = new Set<string>();
  const withAnswers = new Set<string>();
  for (const answer of answers) {
    problems.add(answer.problemId);
    if (answer.error === undefined) withAnswers.add(answer.problemId);
    counts[fateOf(answer)] += 1;
  }
  const answered = counts.right + counts.wrong + counts.undecided;
  return { ...counts, answered, attempted: answers.length, quarantined: problems.size - withAnswers.size };
}

function fateOf({ stopReason, verdict, error }: Pick<AnswerRecord, 'stopReason' | 'verdict' | 'error'>) {
  if (error !== undefined) return 'errored';
  if (stopReason === 'length') return 'truncated';
  if (verdict.correct === true) return 'right';
  if (verdict.answer === undefined) return 'unanswered';
  return verdict.correct === 'unknown' ? 'undecided' : 'wrong';
}
