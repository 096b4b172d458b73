import { Worker } from '@temporalio/worker';
import type { WorkflowBundle } from '../src/workers/bundle.ts';
import { timed } from './clock.ts';
import { countEvents, type RunHistory } from './histories.ts';
import type { Rate, ReplayResult } from './report.ts';

/** How fast a worker that lost its cache catches up: the histories through the workflow code again, without a server. */
export async function measureReplay(
  workflowBundle: WorkflowBundle,
  histories: readonly RunHistory[],
): Promise<ReplayResult> {
  const byWorkflow: Record<string, Rate> = {};
  for (const workflowType of new Set(histories.map((run) => run.workflowType))) {
    const chosen = histories.filter((run) => run.workflowType === workflowType);
    // Once to warm up: the first replay compiles the bundle.
    await replay(workflowBundle, chosen.slice(0, 1));
    byWorkflow[workflowType] = await timed(() => replay(workflowBundle, chosen));
  }
  const sum = (pick: (rate: Rate) => number) =>
    Object.values(byWorkflow).reduce((total, rate) => total + pick(rate), 0);
  return {
    histories: histories.length,
    all: { count: sum((rate) => rate.count), seconds: sum((rate) => rate.seconds) },
    byWorkflow,
  };
}

/** Events replayed. @throws the first error of a replay: the figure of a failed one would mean nothing. */
async function replay(workflowBundle: WorkflowBundle, histories: readonly RunHistory[]): Promise<number> {
  for await (const { error } of Worker.runReplayHistories({ workflowBundle }, histories)) {
    if (error) throw error;
  }
  return countEvents(histories, () => true);
}
