import type { RlIteration } from '../records.ts';

export interface GuardLimits {
  /** The mean reward of the last ten iterations may fall by this much below the first ten's. */
  rewardDrop: number;
  /** Mean |log p(trainer) - log p(sampler)| per token beyond which training stops. */
  maxLogprobGap: number;
  /** Mean negative log-probability per sampled token below which training stops. */
  minEntropy: number;
}

export type GuardResult = { ok: true } | { ok: false; reason: string };

/** Iterations averaged on both sides of the reward guard: one iteration's reward is mostly which prompts it drew. */
const REWARD_WINDOW = 10;

/**
 * Whether training may go on after the last iteration of the history. Collapse seldom heals: more iterations only
 * spend samples, so the first sign that crosses a limit stops the arm, with a reason a person can act on.
 */
export function checkGuards(history: readonly RlIteration[], limits: GuardLimits): GuardResult {
  const last = history.at(-1);
  if (!last) return { ok: true };
  const at = `iteration ${last.iteration}`;

  if (last.loss !== null && !Number.isFinite(last.loss)) {
    return stop(`${at}: the loss is ${last.loss}; lower the learning rate or check the trainer`);
  }
  if (last.logprobGap !== null && !(last.logprobGap <= limits.maxLogprobGap)) {
    return stop(
      `${at}: log-probabilities of trainer and sampler differ by ${last.logprobGap.toFixed(3)} per token, more than ` +
        `${limits.maxLogprobGap} (guards.maxLogprobGap); do both serve the same weights and tokenizer?`,
    );
  }
  if (last.entropy < limits.minEntropy) {
    return stop(
      `${at}: entropy is ${last.entropy.toFixed(4)} per token, below ${limits.minEntropy} (guards.minEntropy): the ` +
        'policy has stopped exploring; lower the learning rate or train fewer iterations',
    );
  }
  if (history.length > REWARD_WINDOW) {
    const first = meanReward(history.slice(0, REWARD_WINDOW));
    const recent = meanReward(history.slice(-REWARD_WINDOW));
    if (first - recent > limits.rewardDrop) {
      return stop(
        `${at}: mean reward fell from ${first.toFixed(2)} (first ${REWARD_WINDOW} iterations) to ${recent.toFixed(2)} ` +
          `(last ${REWARD_WINDOW}), by more than ${limits.rewardDrop} (guards.rewardDrop); lower the learning rate`,
      );
    }
  }
  return { ok: true };
}

/** The history that guards compare, one iteration later: the first window and the last one. */
export function remember(history: readonly RlIteration[], next: RlIteration): RlIteration[] {
  return [...history.slice(0, REWARD_WINDOW), ...history.slice(REWARD_WINDOW).slice(1 - REWARD_WINDOW), next];
}

function stop(reason: string): GuardResult {
  return { ok: false, reason };
}

function meanReward(history: readonly RlIteration[]): number {
  return history.reduce((sum, iteration) => sum + iteration.meanReward, 0) / history.length;
}
