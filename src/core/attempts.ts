import type { Problem, Verdict } from './problem.ts';
import type { AnswerRecord } from './records.ts';
import type { Task } from './task.ts';

/** One attempt inside an answer: the stretch between two backtracks, and what it came to. */
export interface TextAttempt {
  correct: boolean | 'unknown';
  /** Equal classes are equal answers; null: the attempt states no answer. */
  answerClass: string | null;
}

/** What the reading of attempts must know of an answer. */
export type ReadAnswer = Pick<AnswerRecord, 'text' | 'verdict' | 'answerClass' | 'stopReason'>;

/**
 * The attempts of an answer in order, at least one: the text is cut behind each line that holds the task's backtrack
 * marker. What the last one of a finished answer came to is the answer's own verdict; the others are read by the task,
 * since a failed attempt need not look like an answer (traces show it without its box).
 */
export function attemptsIn(task: Task, problem: Problem, answer: ReadAnswer): TextAttempt[] {
  const { backtrackMarker } = task.phrases;
  const attempts: TextAttempt[] = [];
  const read = (start: number, end: number): TextAttempt => {
    const stretch = answer.text.slice(start, end);
    const verdict = task.readAttempt?.(problem, answer.text.slice(0, start), stretch) ?? null;
    return classified(task, problem, verdict ?? task.verify(problem, stretch, 'score'));
  };
  let start = 0;
  let marker = answer.text.indexOf(backtrackMarker);
  while (marker >= 0) {
    attempts.push(read(start, Math.max(start, marker)));
    const lineEnd = answer.text.indexOf('\n', marker);
    start = lineEnd < 0 ? answer.text.length : lineEnd + 1;
    marker = answer.text.indexOf(backtrackMarker, marker + backtrackMarker.length);
  }
  if (answer.stopReason === 'length') return [...attempts, read(start, answer.text.length)];
  return [...attempts, { correct: answer.verdict.correct, answerClass: answer.answerClass }];
}

function classified(task: Task, problem: Problem, { correct, answer }: Verdict): TextAttempt {
  return { correct, answerClass: answer === undefined ? null : task.answerClass(problem, answer) };
}
