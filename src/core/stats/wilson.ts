import type { Interval } from './bootstrap.ts';

/** Standard normal quantile of 0.975. */
export const Z_95 = 1.959963984540054;

/**
 * Wilson's score interval of a proportion (Wilson 1927): a check on the bootstrap that needs no resampling and behaves
 * at 0 and 1. It takes the samples as independent, so with several samples per problem it is too narrow.
 *
 * @returns The whole of [0, 1] around 0 when n is 0.
 */
export function wilson(successes: number, n: number, z = Z_95): Interval {
  if (n === 0) return { value: 0, low: 0, high: 1 };
  const p = successes / n;
  const denominator = 1 + (z * z) / n;
  const centre = (p + (z * z) / (2 * n)) / denominator;
  const half = (z / denominator) * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n));
  return { value: p, low: Math.max(0, centre - half), high: Math.min(1, centre + half) };
}
