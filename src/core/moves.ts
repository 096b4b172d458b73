import type { Problem } from './problem.ts';
import type { Task } from './task.ts';

/** A stretch of an answer by what it does: goes on, looks back at what it has, gives it up and goes back, concludes. */
export interface Move {
  kind: 'forward' | 'reflect' | 'backtrack' | 'answer';
  text: string;
}

/**
 * An answer's text as moves, by the phrases that its task's traces use; joined they are the text. A line that holds the
 * backtrack marker goes back; a line that says what positive reflections say reflects; the last line that holds the
 * extracted answer concludes. All else goes forward. Neighbours of one kind are one move, except that each backtrack
 * stands alone: there are as many as behaviour statistics count.
 *
 * @param answer as the task extracted it; absent where the text holds none
 */
export function readMoves(text: string, task: Pick<Task, 'phrases'>, problem: Problem, answer?: string): Move[] {
  const { backtrackMarker, reflectPositive } = task.phrases;
  const reflections = new Set(linesOf(reflectPositive(problem, [])).map((line) => line.trim()));
  const lines = linesOf(text);
  const last = answer === undefined || answer === '' ? -1 : lines.findLastIndex((line) => line.includes(answer));
  const moves: Move[] = [];
  for (const [i, line] of lines.entries()) {
    const kind = line.includes(backtrackMarker)
      ? 'backtrack'
      : i === last
        ? 'answer'
        : line.trim() !== '' && reflections.has(line.trim())
          ? 'reflect'
          : 'forward';
    const before = moves.at(-1);
    // A blank line belongs to what it follows.
    if (before !== undefined && (line.trim() === '' || (kind === before.kind && kind !== 'backtrack'))) {
      before.text += line;
    } else {
      moves.push({ kind, text: line });
    }
  }
  return moves;
}

/** With their line breaks; joined they are the text. */
const linesOf = (text: string): string[] => text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
