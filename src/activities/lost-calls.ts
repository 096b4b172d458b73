import type { LostCalls } from '../core/ledger/types.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import type { Attempt } from './boundary.ts';

/**
 * Stores what the attempt before had been answered and not stored, so that the ledger has an estimate where the service
 * keeps no journal. Once for each attempt, however many of its successors know of it. `nameOf` numbers them from 0.
 */
export async function storeLost(
  store: ArtifactStore,
  at: Attempt,
  prefix: string,
  nameOf: (number: number) => string,
): Promise<void> {
  // Stored after all: the heartbeat that would have said so did not reach the server.
  if (at.lost === null || (await store.find(at.lost.result)) !== null) return;
  const { attempt, usage } = at.lost;
  const lost: LostCalls = { schema: 'astroflow.lost-calls/1', prefix, activity: at.activity, attempt, usage };
  for (let number = 0; ; number++) {
    const stored = await store.getJson<LostCalls>(await store.putJson(nameOf(number), lost));
    if (stored.activity === lost.activity && stored.attempt === lost.attempt) return;
  }
}
