/**
 * Learning rate of an optimiser step: linear warm-up times linear decay to `finalFraction` of the rate.
 *
 * @param step From 0. The warm-up reaches its full factor at step `warmupSteps - 1`, so no step has rate 0.
 */
export function linearSchedule(
  step: number,
  options: { steps: number; warmupSteps: number; learningRate: number; finalFraction: number },
): number {
  const { steps, warmupSteps, learningRate, finalFraction } = options;
  const warmup = warmupSteps > 0 ? Math.min(1, (step + 1) / warmupSteps) : 1;
  const left = Math.max(0, 1 - step / steps);
  return learningRate * warmup * (finalFraction + (1 - finalFraction) * left);
}
