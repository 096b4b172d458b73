/**
 * A round, as ask and tell; nothing here calls a model:
 *
 *     asks       = askExpand(tree, params, task, problem)       sample `count` steps for each ask
 *     expansions = asks → { node, children: mergeSteps(…) }
 *     rollouts   = askRollout(tree, expansions, params)         sample `count` completions for each, gradeRollout them
 *     round      = closeRound(…)                                store it
 *     tree       = applyRound(tree, round, params)
 */
import type { Problem } from '../problem.ts';
import type { Task } from '../task.ts';
import type { Usage } from '../usage.ts';
import { gradeTerminal } from './grade.ts';
import { meanLogprob } from './prior.ts';
import { puctScore } from './puct.ts';
import { askSolutions, mergeSolutions } from './sampling.ts';
import { type Selection, selectLeaves } from './select.ts';
import { stepsTo, tokensTo } from './tree.ts';
import type {
  ExpandAsk,
  Expansion,
  NewChild,
  Rollout,
  RolloutAsk,
  SampledStep,
  SearchParams,
  SearchRound,
  SearchTree,
  ServedCompletions,
} from './types.ts';
import { uctScore } from './uct.ts';

/** Which leaves to expand, all different; empty when nothing is left to expand. Deterministic. */
export function askExpand(tree: SearchTree, params: SearchParams, task: Task, problem: Problem): ExpandAsk[] {
  if (params.algorithm === 'sampling') return [askSolutions(params)];
  return select(tree, params).leaves.map((node) => {
    const steps = stepsTo(tree, node);
    const tokens = tokensTo(tree, node);
    return { node, steps, tokens, stops: task.stepStops(problem, steps), count: params.childrenPerLeaf };
  });
}

/** The samples of one ask as children: equal texts merged, finished ones graded, rollouts still empty. */
export function mergeSteps(
  params: SearchParams,
  task: Task,
  problem: Problem,
  ask: ExpandAsk,
  samples: readonly SampledStep[],
): NewChild[] {
  if (params.algorithm === 'sampling') return mergeSolutions(task, problem, samples);
  const merged = new Map<string, NewChild>();
  for (const { text, tokens, logprobs } of samples) {
    const same = merged.get(text);
    if (same !== undefined) {
      same.multiplicity += 1;
      continue;
    }
    const steps = [...ask.steps, text];
    const terminal = task.isTerminal(problem, steps) ? gradeTerminal(task, problem, steps) : null;
    merged.set(text, { text, tokens, meanLogprob: meanLogprob(logprobs), multiplicity: 1, terminal, rollouts: [] });
  }
  return [...merged.values()];
}

/** Completions to sample, to the end of the text, for every new child that is not terminal. */
export function askRollout(tree: SearchTree, expansions: readonly Expansion[], params: SearchParams): RolloutAsk[] {
  if (params.rolloutsPerChild === 0) return [];
  return expansions.flatMap(({ node, children }, expansion) => {
    const steps = stepsTo(tree, node);
    const tokens = tokensTo(tree, node);
    return children.flatMap((child, index): RolloutAsk[] => {
      if (child.terminal !== null) return [];
      return [
        {
          expansion,
          child: index,
          tokens: [...tokens, ...child.tokens],
          steps: [...steps, child.text],
          count: params.rolloutsPerChild,
        },
      ];
    });
  });
}

/** The immutable record of a round of `tree`. `rollouts[i]` are the graded completions of `rolloutAsks[i]`. */
export function closeRound(
  tree: SearchTree,
  params: SearchParams,
  got: {
    expansions: readonly Expansion[];
    rolloutAsks: readonly RolloutAsk[];
    rollouts: readonly Rollout[][];
    calls: string[];
    usage: Usage;
    served?: ServedCompletions[];
  },
): SearchRound {
  const rolloutsOf = new Map(
    got.rolloutAsks.map((ask, i) => [`${ask.expansion}/${ask.child}`, got.rollouts[i] ?? []] as const),
  );
  return {
    schema: 'astroflow.search-round/1',
    round: tree.rounds,
    expansions: got.expansions.map(({ node, children }, i) => ({
      node,
      children: children.map((child, j) => ({ ...child, rollouts: rolloutsOf.get(`${i}/${j}`) ?? [] })),
    })),
    revisits: params.algorithm === 'sampling' ? [] : select(tree, params).revisits,
    calls: got.calls,
    usage: got.usage,
    ...(got.served?.length && { served: got.served }),
  };
}

function select(tree: SearchTree, params: SearchParams): Selection {
  return selectLeaves(tree, params, params.algorithm === 'uct' ? uctScore : puctScore);
}
