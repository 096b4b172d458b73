import type { Problem } from '../problem.ts';
import type { Task } from '../task.ts';
import type { Rollout, Terminal } from './types.ts';

/** The verdict on a finished attempt: the verifier's, and whether all it says is true. */
export function gradeTerminal(task: Task, problem: Problem, steps: readonly string[]): Terminal {
  const { correct, answer } = task.verify(problem, steps.join(''));
  const sound = task.isSound(problem, steps);
  if (answer === undefined) return { correct, sound };
  return { correct, answer, answerClass: task.answerClass(problem, answer), sound };
}

/** The verdict on a completion that continues `steps` to the end. */
export function gradeRollout(
  task: Task,
  problem: Problem,
  steps: readonly string[],
  completion: { text: string; tokens: readonly number[] },
): Rollout {
  const { correct, answer } = task.verify(problem, steps.join('') + completion.text);
  const rollout = { text: completion.text, correct, tokens: completion.tokens.length };
  return answer === undefined ? rollout : { ...rollout, answer };
}
