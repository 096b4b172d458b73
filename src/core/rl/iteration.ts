import { countBacktracks } from '../behaviour.ts';
import type { RlIteration, RolloutRecord } from '../records.ts';
import type { Task } from '../task.ts';
import { isUniform } from './advantages.ts';
import { groupRollouts } from './policy-data.ts';

/** What one iteration's answers say, beside what training on them said. */
export function summarizeIteration(
  iteration: number,
  rollouts: readonly RolloutRecord[],
  phrases: Pick<Task['phrases'], 'backtrackMarker'>,
  update: Pick<RlIteration, 'loss' | 'logprobGap' | 'policyVersion' | 'restarts'>,
): RlIteration {
  const groups = groupRollouts(rollouts);
  const mean = (of: (rollout: RolloutRecord) => number) =>
    rollouts.length === 0 ? 0 : rollouts.reduce((sum, rollout) => sum + of(rollout), 0) / rollouts.length;
  const logprobs = rollouts.flatMap((rollout) => rollout.samplerLogprobs);
  return {
    iteration,
    meanReward: mean((rollout) => rollout.reward),
    passRate: mean((rollout) => (rollout.verdict.correct === true && !rollout.truncated ? 1 : 0)),
    meanTokens: mean((rollout) => rollout.completionTokens.length),
    truncated: mean((rollout) => (rollout.truncated ? 1 : 0)),
    backtracksPerAnswer: mean((rollout) => countBacktracks(rollout.text, phrases)),
    zeroVarianceGroups: groups.filter((group) => isUniform(group.map((rollout) => rollout.reward))).length,
    groups: groups.length,
    entropy: logprobs.length === 0 ? 0 : -logprobs.reduce((sum, logprob) => sum + logprob, 0) / logprobs.length,
    ...update,
  };
}
