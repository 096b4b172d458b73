import type { EdgeStats } from './select.ts';

/** UCT (Kocsis and Szepesvári 2006), which ignores the prior: `Q(S, a) + c * sqrt(ln N(S) / N(S, a))`. */
export function uctScore({ value, visits, parentVisits }: EdgeStats, exploration: number): number {
  return value + exploration * Math.sqrt(Math.log(Math.max(1, parentVisits)) / Math.max(1, visits));
}
