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
 * Accuracy against the token cap, from the same samples: an answer counts where it is right and finished within the
 * cap. Sampling is left to right, so a lower limit would have produced the same tokens and cut them there.
 */
export function accuracyAtCaps(
  answers: readonly Pick<AnswerRecord, 'tokens' | 'stopReason' | 'verdict'>[],
  caps: readonly number[],
): { cap: number; accuracy: number }[] {
  return caps.map((cap) => {
    const right = answers.filter((answer) => isRight(answer) && answer.tokens <= cap).length;
    return { cap, accuracy: answers.length === 0 ? 0 : right / answers.length };
  });
}
