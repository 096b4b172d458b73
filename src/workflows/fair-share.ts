import type { Priority } from '@temporalio/common';
import { workflowInfo } from '@temporalio/workflow';

/** Temporal's limit, in bytes; names of runs are ASCII. */
const longestKey = 64;

/**
 * For everything that a workflow starts: the run's name as fairness key, so that a server with fairness gives each run
 * an equal share of a queue, however much another has waiting there. Priority and weight are inherited from whoever
 * started the run. Servers without fairness ignore it.
 */
export function ownShare(): { priority: Priority } {
  const { workflowId } = workflowInfo();
  const [, run] = workflowId.match(/^astro\/([^/]+)/) ?? [];
  return { priority: { fairnessKey: (run ?? workflowId).slice(0, longestKey) } };
}
