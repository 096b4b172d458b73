import type { TraceSource } from '../../src/core/language/narration.ts';
import type { TraceEvent, TracePlan } from '../../src/core/linearize.ts';
import type { Task } from '../../src/core/task.ts';
import { astroPhrases } from '../../src/core/tasks/astro-phrases.ts';
import { eventText, nodeOf, type TraceMove } from '../../src/core/trace.ts';
import { type DeepProblem, deepProblem, deepTask } from './deep-task.ts';
import { treeOf } from './tree-of.ts';

/** The deep task with a statement that does not give its answer away. */
export const riddleTask: Task<DeepProblem> = {
  ...deepTask,
  name: 'riddle',
  statement: () => 'Which digits did I think of?',
};

export const phrases = astroPhrases.narration!;

/** A plan with two failed attempts (16, then 10 after a restart) before the right one (9, after going back). */
export const source: TraceSource = {
  task: riddleTask,
  problem: deepProblem(9, 3),
  tree: treeOf(riddleTask, deepProblem(9, 3), [
    ['Step 1: add 2.\n\n', 'Step 2: add 3.\n\n', 'Step 3: add 5.\nThe total is \\boxed{10}.'],
    ['Step 1: add 2.\n\n', 'Step 2: add 3.\n\n', 'Step 3: add 4.\nThe total is \\boxed{9}.'],
    ['Step 1: add 7.\n\n', 'Step 2: add 8.\n\n', 'Step 3: add 1.\nThe total is \\boxed{16}.'],
  ]),
  plan: {
    nodes: [0, 5, 6, 7, 1, 2, 3, 4],
    events: [
      { kind: 'step', node: 5 },
      { kind: 'step', node: 6 },
      { kind: 'step', node: 7 },
      { kind: 'restart' },
      { kind: 'step', node: 1 },
      { kind: 'reflectPositive', node: 1 },
      { kind: 'step', node: 2 },
      { kind: 'step', node: 3 },
      { kind: 'backtrack', to: 2 },
      { kind: 'answer', node: 4 },
      { kind: 'reflectAnswer', node: 4 },
    ],
    answers: [
      { node: 7, answerClass: '16', correct: false },
      { node: 3, answerClass: '10', correct: false },
      { node: 4, answerClass: '9', correct: true },
    ],
    requested: 2,
    backtracks: 2,
  },
};

/** A text of the plan: the templates', with some events written otherwise. */
export function writtenAs(
  { plan, tree, task, problem }: TraceSource,
  write: (event: TraceEvent, template: string, index: number) => string,
): { text: string; moves: TraceMove[] } {
  const moves: TraceMove[] = [];
  let text = '';
  for (const [index, event] of plan.events.entries()) {
    const start = text.length;
    text += write(event, eventText(event, plan as TracePlan, tree, task, problem), index);
    moves.push({ kind: event.kind, node: nodeOf(event), start, end: text.length });
  }
  return { text, moves };
}
