import type { Problem } from '../../src/core/problem.ts';
import { foldRounds, gradeTerminal } from '../../src/core/search/index.ts';
import type { NewChild, SearchTree } from '../../src/core/search/types.ts';
import type { Task } from '../../src/core/task.ts';
import { noUsage } from '../../src/core/usage.ts';
import { searchParams } from './search-run.ts';

/** A tree that holds exactly these solutions; node ids in the order in which their steps first appear. */
export function treeOf(task: Task, problem: Problem, solutions: string[][]): SearchTree {
  const children = solutions.map((steps): NewChild => {
    const terminal = gradeTerminal(task, problem, steps);
    return { text: steps.join(''), steps, tokens: [], meanLogprob: 0, multiplicity: 1, terminal, rollouts: [] };
  });
  const expansions = [{ node: 0, children }];
  const schema = 'astroflow.search-round/1' as const;
  const round = { schema, round: 0, expansions, revisits: [], calls: [], usage: noUsage };
  return foldRounds(problem.id, [round], { ...searchParams, algorithm: 'sampling' });
}
