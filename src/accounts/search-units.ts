import type { StoredTree } from '../activities/search.ts';
import { searchCallPrefix } from '../config/call-ids.ts';
import { artifactNames, type SearchPlan } from '../config/plan.ts';
import { problemSlug } from '../core/key.ts';
import type { LostCalls, Unit } from '../core/ledger/types.ts';
import type { Problem } from '../core/problem.ts';
import type { SearchRound } from '../core/search/types.ts';
import { noUsage, type Usage } from '../core/usage.ts';
import type { ArtifactStore } from '../services/store/store.ts';

/** What a stored round says of its cost. */
interface RoundCost {
  round: number;
  calls: string[];
  usage: Usage;
}

/**
 * One unit for every stored round of a problem's search, and one for what is not stored, which there is none of once
 * the tree is. A tree may be begun by a run with one problem set and finished by another's: each pays its own rounds.
 */
export async function searchUnits(store: ArtifactStore, search: SearchPlan, problem: Problem): Promise<Unit[]> {
  const part = problemSlug(problem.id);
  const ours = searchCallPrefix(search);
  const tree = artifactNames.searchTree(search.key, part);
  const ref = await store.find(tree);
  const rounds =
    ref === null
      ? await storedRounds(store, search, part)
      : (costOfTree(await store.getJson<StoredTree>(ref), ours) ?? (await storedRounds(store, search, part)));
  const units = rounds.map(({ round, calls, usage }): Unit => {
    const isOurs = calls.every((call) => call.startsWith(ours));
    return {
      result: artifactNames.searchRound(search.key, part, round),
      prefix: `${ours}${part}/${round}/`,
      part,
      calls: calls.filter((call) => call.startsWith(ours)),
      usage: isOurs ? usage : noUsage,
      ...(!isOurs && { elsewhere: true }),
    };
  });
  if (ref !== null) return units;
  return [...units, { result: tree, prefix: `${ours}${part}/`, part, calls: null, usage: noUsage }];
}

/** What died with attempts at a problem's search, of the calls under a prefix. */
export async function lostIn(
  store: ArtifactStore,
  { key }: SearchPlan,
  slug: string,
  prefix: string,
): Promise<Usage[]> {
  const found: Usage[] = [];
  for (let number = 0; ; number++) {
    const ref = await store.find(artifactNames.lostCalls(key, slug, number));
    if (ref === null) return found;
    const lost = await store.getJson<LostCalls>(ref);
    if (lost.prefix === prefix) found.push(lost.usage);
  }
}

async function storedRounds(store: ArtifactStore, { key }: SearchPlan, slug: string): Promise<RoundCost[]> {
  const rounds: RoundCost[] = [];
  for (;;) {
    const ref = await store.find(artifactNames.searchRound(key, slug, rounds.length));
    if (ref === null) return rounds;
    rounds.push(await store.getJson<SearchRound>(ref));
  }
}

/** By round, from the calls that a tree names; null where only its rounds know who paid how much of it. */
function costOfTree({ tree, calls }: StoredTree, ours: string): RoundCost[] | null {
  const oursOf = calls.filter((call) => call.startsWith(ours)).length;
  if (oursOf > 0 && oursOf < calls.length) return null;
  const rounds = new Map<number, string[]>();
  for (const call of calls) {
    const round = Number(call.split('/')[ROUND]);
    rounds.set(round, [...(rounds.get(round) ?? []), call]);
  }
  return [...rounds].map(([round, its], i) => ({ round, calls: its, usage: i === 0 ? tree.usage : noUsage }));
}

/** `search/<key>/<set>/<slug>/<round>/<ask>` */
const ROUND = 4;
