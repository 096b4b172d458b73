import type { Problem } from '../../src/core/problem.ts';
import type { Task } from '../../src/core/task.ts';
import { astroPhrases } from '../../src/core/tasks/astro-phrases.ts';
import { lastBox } from '../../src/core/tasks/boxed.ts';

export type DeepProblem = Problem<{ target: number; depth: number }>;

const STEP = /^Step \d+: add (\d)\.\n\n$/;
const LAST = /^Step \d+: add (\d)\.\nThe total is \\boxed\{(\d+)\}\.$/;

/**
 * A text task as deep as its problem says: every step adds a digit and the last one boxes the total, which should be
 * the target. An attempt is sound when the box holds the sum of its digits.
 */
export const deepTask: Task<DeepProblem> = {
  name: 'deep',
  version: 1,
  parseRow: () => deepProblem(20),
  generate: ({ count }) => Array.from({ length: count }, (_, i) => deepProblem(i)),
  family: (problem) => problem.id,
  statement: ({ data }) => `Add ${data.depth} digits to reach ${data.target}.`,
  prompt: ({ data }) => [{ role: 'user', content: `Add ${data.depth} digits to reach ${data.target}.` }],
  stepStops: ({ data }, steps) => (steps.length < data.depth - 1 ? ['\n\n'] : []),
  keepsStop: true,
  answerStops: [],
  splitSteps: (_problem, text) => text.split(/(?<=\n\n)/),
  isTerminal: ({ data }, steps) => steps.length >= data.depth,
  verify({ data }, text) {
    const box = lastBox(text, '\\boxed{');
    if (box === null) return { correct: false, reason: 'no boxed answer' };
    return { correct: Number(box.content) === data.target, answer: box.content, reason: `total ${box.content}` };
  },
  answerClass: (_problem, answer) => answer,
  isSound(_problem, steps) {
    const digits = steps.slice(0, -1).map((step) => STEP.exec(step)?.[1]);
    const final = LAST.exec(steps.at(-1) ?? '');
    return final !== null && [...digits, final[1]].reduce((sum, digit) => sum + Number(digit), 0) === Number(final[2]);
  },
  phrases: astroPhrases,
  script: () => null,
};

export function deepProblem(target: number, depth = 6): DeepProblem {
  return { id: `deep-${target}`, data: { target, depth } };
}
