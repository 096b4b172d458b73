import type { Verdict } from '../problem.ts';

/**
 * Outcome reward: +1 for a right answer, -1 for a wrong one (ASTRO's verifier reward). An answer cut off at the token
 * limit is wrong whatever it holds: it never said that it was done. An answer the checker could not decide pays nothing.
 */
export function outcomeReward(verdict: Verdict, truncated: boolean): number {
  if (truncated) return -1;
  if (verdict.correct === 'unknown') return 0;
  return verdict.correct ? 1 : -1;
}
