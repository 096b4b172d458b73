import type { Datum, LossName } from './trainer.ts';

/**
 * The loss of a batch, summed over tokens, from the log-probabilities before the step: what a service that reports no
 * loss of its own would have reported.
 *
 * - cross_entropy: -w log p
 * - importance_sampling: -r A with r = exp(log p - log p_sampler)
 * - ppo: -min(r A, clip(r, low, high) A)
 */
export function sumLoss(
  loss: { name: LossName; config?: Record<string, number> },
  data: readonly Datum[],
  logprobs: readonly (readonly number[])[],
): number {
  const low = loss.config?.clip_low_threshold ?? 0.8;
  const high = loss.config?.clip_high_threshold ?? 1.2;
  let sum = 0;
  for (const [row, datum] of data.entries()) {
    for (const [at, logprob] of (logprobs[row] ?? []).entries()) {
      if (at === 0) continue;
      if (loss.name === 'cross_entropy') {
        sum -= (datum.weights?.[at] ?? 0) * logprob;
        continue;
      }
      const advantage = datum.advantages?.[at] ?? 0;
      if (advantage === 0) continue;
      const ratio = Math.exp(logprob - (datum.logprobs?.[at] ?? 0));
      const clipped = Math.min(Math.max(ratio, low), high);
      sum -= loss.name === 'ppo' ? Math.min(ratio * advantage, clipped * advantage) : ratio * advantage;
    }
  }
  return sum;
}
