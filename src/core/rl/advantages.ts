/**
 * Group-relative advantages in the Dr. GRPO form: A_i = r_i - mean(r), without dividing by the standard deviation
 * (which would overweight problems that are nearly always or nearly never solved). With rewards of +-1 and c of G
 * right, right answers get 2(1 - c/G) and wrong ones -2c/G. A uniform group gets exact zeros.
 */
export function groupAdvantages(rewards: readonly number[]): number[] {
  if (isUniform(rewards)) return rewards.map(() => 0);
  const mean = rewards.reduce((sum, reward) => sum + reward, 0) / rewards.length;
  return rewards.map((reward) => reward - mean);
}

/** Whether all rewards are equal, so that the group says nothing about which answer was better. */
export function isUniform(rewards: readonly number[]): boolean {
  return rewards.every((reward) => reward === rewards[0]);
}

/**
 * What each completion token of each answer carries: A / (answers x C). Services sum the loss over tokens, so this
 * makes it (1/answers) sum_i (1/C) sum_t A_i: a constant C instead of the answer's own length, so that long wrong
 * answers are not punished less per token than short ones (Dr. GRPO).
 *
 * @param advantages Of every answer of one optimiser step. Answers of uniform groups are left out beforehand, so they
 *   count neither here nor in the gradient.
 * @param lengthNormalizer C, in tokens.
 */
export function normalizedAdvantages(advantages: readonly number[], lengthNormalizer: number): number[] {
  const divisor = advantages.length * lengthNormalizer;
  return advantages.map((advantage) => advantage / divisor);
}
