/** Stands in for a log-probability that JSON could not store. */
const LEAST_LOGPROB = -1000;

/**
 * Length-normalised log-probability of a sampled step: the mean over its tokens, since the plain sum would favour
 * short steps. 0 where the server gives no log-probabilities, which makes the priors uniform.
 */
export function meanLogprob(logprobs: readonly number[] | undefined): number {
  if (logprobs === undefined || logprobs.length === 0) return 0;
  const mean = logprobs.reduce((sum, logprob) => sum + logprob, 0) / logprobs.length;
  return Number.isFinite(mean) ? Math.max(mean, LEAST_LOGPROB) : LEAST_LOGPROB;
}

/** Pi(a|S) of siblings: exp of their mean log-probabilities, normalised to sum to 1. */
export function priors(meanLogprobs: readonly number[]): number[] {
  const largest = meanLogprobs.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const weights = meanLogprobs.map((logprob) => Math.exp(logprob - largest));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}
