import type { RlIteration } from '../core/records.ts';
import type { ActivityRecorder } from './boundary.ts';

/** An iteration's figures as metrics. Guards and reports read them from the store. */
export function recordIteration(record: ActivityRecorder, summary: RlIteration): void {
  const { iteration, meanReward, passRate, truncated, meanTokens, entropy, logprobGap } = summary;
  record.set('astroflow_rl_reward_share', (meanReward + 1) / 2, {});
  record.set('astroflow_rl_pass_rate', passRate, {});
  record.set('astroflow_rl_truncated', truncated, {});
  record.set('astroflow_rl_answer_tokens', meanTokens, {});
  // Of log-probabilities that are 0 throughout, the mean is -0.
  record.set('astroflow_rl_entropy', Math.max(0, entropy), {});
  if (logprobGap !== null && Number.isFinite(logprobGap)) record.set('astroflow_rl_logprob_gap', logprobGap, {});
  if (summary.groups > 0) record.set('astroflow_rl_uniform_groups', summary.zeroVarianceGroups / summary.groups, {});
  // Last: the others are of this iteration when it shows.
  record.set('astroflow_rl_iteration', iteration, {});
}
