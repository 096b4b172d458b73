import { contentKey } from './key.ts';

/** A server of a pool, as a request that looks for one sees it. */
export interface Candidate {
  /** Stable, also where the address is not. */
  name: string;
  /** Requests at once that it is sent at most. */
  limit: number;
  /** Requests that it has, or that wait for it. */
  pending: number;
  /** It asked for time. */
  paused: boolean;
}

/**
 * The server that is used least, by the share of what it takes; where several are, the one that `affinity` falls to.
 * Texts that begin alike then meet the same prefix cache, as long as that costs no waiting, and a server that comes or
 * goes moves only its own share (rendezvous hashing, Thaler and Ravishankar 1998).
 *
 * @returns a position; null: there is none
 */
export function leastLoaded(candidates: readonly Candidate[], affinity: string): number | null {
  let best: { at: number; load: number; weight: string } | null = null;
  for (const [at, { name, limit, pending, paused }] of candidates.entries()) {
    const load = paused ? Number.POSITIVE_INFINITY : pending / limit;
    if (best !== null && load > best.load) continue;
    const weight = contentKey([affinity, name]);
    if (best === null || load < best.load || weight > best.weight) best = { at, load, weight };
  }
  return best?.at ?? null;
}
