import { metricMeter, workflowInfo } from '@temporalio/workflow';
import { identityOf } from '../core/identity.ts';
import { recorder } from '../core/metrics.ts';

/** Metrics of a workflow: not recorded again when it replays, and no commands of its history. */
export const workflowMetrics = () => recorder(metricMeter);

/** Labels of a workflow that has no plan at hand; the names of a plan are surer. */
export function ownLabels(): { run: string; stage: string; arm: string } {
  const { workflowId, workflowType } = workflowInfo();
  const { run = '', stage = '', arm = '' } = identityOf(workflowId, workflowType);
  return { run, stage, arm };
}
