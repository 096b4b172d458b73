import type { SearchPlan } from '../config/plan.ts';

/** Call ids of a search start with this: trees are shared between problem sets, accounts are not. */
export function searchCallPrefix(search: Pick<SearchPlan, 'key' | 'problems'>): string {
  return `search/${search.key}/${search.problems.sha256.slice(0, 8)}/`;
}
