import type { Problem } from '../problem.ts';
import type { Task } from '../task.ts';
import { gradeTerminal } from './grade.ts';
import type { ExpandAsk, NewChild, SampledStep, SearchParams } from './types.ts';

/**
 * Plain sampling, the control for "is tree search needed?": every round asks for whole solutions from the root, as
 * many as the completions of a tree search's round that expands all its leaves.
 */
export function askSolutions(params: SearchParams): ExpandAsk {
  const perLeaf = params.childrenPerLeaf * Math.max(1, params.rolloutsPerChild);
  return { node: 0, steps: [], tokens: [], stops: [], count: params.leavesPerRound * perLeaf };
}

/**
 * Whole solutions, equal texts merged, cut into the steps that step-wise sampling would have produced. In the tree each
 * becomes a chain of nodes that shares its first steps with other solutions: what the stitched-sampling arm joins.
 * The tokens of a chain all sit in its last node, for text is never tokenised again.
 */
export function mergeSolutions(task: Task, problem: Problem, samples: readonly SampledStep[]): NewChild[] {
  const merged = new Map<string, NewChild>();
  for (const { text, tokens } of samples) {
    const steps = task.splitSteps(problem, text);
    const same = merged.get(text);
    if (same !== undefined) same.multiplicity += 1;
    else if (steps.length > 0) {
      const terminal = gradeTerminal(task, problem, steps);
      merged.set(text, { text, tokens, meanLogprob: 0, multiplicity: 1, steps, terminal, rollouts: [] });
    }
  }
  return [...merged.values()];
}
