import type { StoredTree } from '../activities/search.ts';
import { artifactNames, type SearchPlan } from '../config/plan.ts';
import { problemSlug } from '../core/key.ts';
import type { Problem } from '../core/problem.ts';
import { bestPath, isFinished, searchMoments, stateOf } from '../core/search/index.ts';
import type { Moment } from '../core/search/moments.ts';
import type { SearchTree } from '../core/search/types.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import { storedRounds } from './rounds.ts';

/** One problem's search as it lies in the store, at work or not. */
export interface StoredSearch {
  problem: Problem;
  slug: string;
  /** After the last stored round. */
  tree: SearchTree;
  /** By rounds, from none. Only the last one where the rounds are gone and the finished tree is left. */
  moments: Moment[];
  /** Its tree is stored, or the next round would store it. */
  finished: boolean;
}

/** Null when not one round is stored. */
export async function readSearch(
  store: ArtifactStore,
  search: SearchPlan,
  problem: Problem,
): Promise<StoredSearch | null> {
  const slug = problemSlug(problem.id);
  const rounds = await storedRounds(store, search, slug);
  if (rounds.length > 0) {
    const { tree, moments } = searchMoments(problem.id, rounds, search.params);
    return { problem, slug, tree, moments, finished: isFinished(tree, search.params) };
  }
  const ref = await store.find(artifactNames.searchTree(search.key, slug));
  if (ref === null) return null;
  const { tree, calls } = await store.getJson<StoredTree>(ref);
  const { usage, rounds: count, nodes } = tree;
  return {
    problem,
    slug,
    tree,
    moments: [{ rounds: count, nodes: nodes.length, changed: nodes.map(stateOf), best: bestPath(tree), calls, usage }],
    finished: true,
  };
}
