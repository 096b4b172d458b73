import { artifactNames, type SearchPlan } from '../config/plan.ts';
import type { SearchRound } from '../core/search/types.ts';
import type { ArtifactStore } from '../services/store/store.ts';

/** A problem's rounds so far: those that follow each other from the first. */
export async function storedRounds(
  store: ArtifactStore,
  search: Pick<SearchPlan, 'key'>,
  slug: string,
): Promise<SearchRound[]> {
  const rounds: SearchRound[] = [];
  for (;;) {
    const ref = await store.find(artifactNames.searchRound(search.key, slug, rounds.length));
    if (ref === null) return rounds;
    rounds.push(await store.getJson<SearchRound>(ref));
  }
}
