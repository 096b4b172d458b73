import type { EvaluatePlan, LinearizePlan, SearchPlan } from './plan.ts';

export type Role = 'judge' | 'narrate';

/** Call ids of a search start with this: trees are shared between problem sets, accounts are not. */
export function searchCallPrefix(search: Pick<SearchPlan, 'key' | 'problems'>): string {
  return `search/${search.key}/${search.problems.sha256.slice(0, 8)}/`;
}

/** Call ids of a role start with this. By role first: two roles may be served by one server, which is asked for each. */
export function roleCallPrefix({ key }: Pick<LinearizePlan, 'key'>, role: Role): string {
  return `linearize/${key}/${role}/`;
}

/** Call ids of one checkpoint's evaluation start with this; answers are shared between runs checkpoint by checkpoint. */
export function evaluateCallPrefix(
  plan: Pick<EvaluatePlan, 'key'>,
  entry: EvaluatePlan['checkpoints'][number],
): string {
  return `evaluate/${plan.key}/${entry.stageKey === null ? entry.name : `${entry.name}-${entry.stageKey}`}/`;
}
