import type { EdgeStats } from './select.ts';

/**
 * PUCT (Silver et al. 2016), ASTRO's selection rule:
 * `Q(S, a) + c * Pi(a|S) * sqrt(N(S)) / (1 + N(S, a))`.
 */
export function puctScore({ value, prior, visits, parentVisits }: EdgeStats, exploration: number): number {
  return value + (exploration * prior * Math.sqrt(parentVisits)) / (1 + visits);
}
