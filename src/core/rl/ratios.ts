import type { PolicyBatch } from './policy-data.ts';

/** How far the trainer's view of the sampled tokens is from the sampler's. All over completion tokens only. */
export interface RatioStats {
  tokens: number;
  /** Mean |log p(trainer) - log p(sampler)|. */
  logprobGap: number;
  /** Mean and largest importance ratio p(trainer) / p(sampler). */
  meanRatio: number;
  maxRatio: number;
  /** Mean of ratio - 1 - log ratio: a non-negative estimate of KL(sampler || trainer). */
  kl: number;
}

/**
 * On-policy, and with sampler and trainer computing the same numbers, every ratio is 1. What is left is the price of
 * stale policies and of different arithmetic on the two sides; a guard watches it.
 *
 * @param trainer Per datum, log-probability of each token as a target, aligned with `tokens`.
 * @returns null when there are no completion tokens.
 */
export function importanceRatioStats(batch: PolicyBatch, trainer: readonly (readonly number[])[]): RatioStats | null {
  let tokens = 0;
  let gap = 0;
  let ratios = 0;
  let maxRatio = 0;
  let kl = 0;
  batch.data.forEach((datum, index) => {
    const seen = trainer[index];
    if (seen?.length !== datum.tokens.length) {
      throw new RangeError(
        `the trainer gave ${seen?.length ?? 'no'} log-probabilities for datum ${index} of ${datum.tokens.length} tokens`,
      );
    }
    for (let t = batch.completionStarts[index] ?? 0; t < datum.tokens.length; t++) {
      const logRatio = (seen[t] ?? 0) - (datum.logprobs[t] ?? 0);
      const ratio = Math.exp(logRatio);
      tokens += 1;
      gap += Math.abs(logRatio);
      ratios += ratio;
      maxRatio = Math.max(maxRatio, ratio);
      kl += ratio - 1 - logRatio;
    }
  });
  if (tokens === 0) return null;
  return { tokens, logprobGap: gap / tokens, meanRatio: ratios / tokens, maxRatio, kl: kl / tokens };
}

/** Mean |log p(trainer) - log p(sampler)| per completion token over several batches; null when there is no token. */
export function logprobGap(stats: readonly (RatioStats | null)[]): number | null {
  let tokens = 0;
  let gap = 0;
  for (const one of stats) {
    tokens += one?.tokens ?? 0;
    gap += (one?.logprobGap ?? 0) * (one?.tokens ?? 0);
  }
  return tokens === 0 ? null : gap / tokens;
}
