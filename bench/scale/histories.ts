import type { Client } from '@temporalio/client';
import type { History } from '../histories.ts';

/** Histories of one type of workflow. Steps are scaled from those that were read, sizes are of all. */
export interface HistorySizes {
  runs: number;
  read: number;
  events: { max: number; mean: number };
  bytes: { max: number; mean: number };
  /** Bytes of the largest payload in the histories that were read. */
  largestPayload: number;
  activities: number;
  workflowTasks: number;
  /** Activities of the histories that were read, by the worker process that completed them. */
  activitiesBy: Record<string, number>;
}

/** Evenly spread over all runs of a type: enough for means, and of parents all that there are. */
const mostRead = 100;

/** What the server holds of all workflows that have ended, by type. */
export async function measureHistories(client: Client): Promise<Record<string, HistorySizes>> {
  const runs = new Map<string, { workflowId: string; runId: string; events: number; bytes: number }[]>();
  for await (const info of client.workflow.list()) {
    const { workflowId, runId, historyLength: events, historySize: bytes = 0 } = info;
    const ofType = runs.get(info.type) ?? [];
    ofType.push({ workflowId, runId, events, bytes });
    runs.set(info.type, ofType);
  }
  const found: Record<string, HistorySizes> = {};
  for (const [type, all] of runs) {
    const step = Math.max(1, Math.ceil(all.length / mostRead));
    const chosen = all.filter((_, i) => i % step === 0);
    let [workflowTasks, largestPayload] = [0, 0];
    const activitiesBy: Record<string, number> = {};
    for (const { workflowId, runId } of chosen) {
      const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
      for (const event of history.events ?? []) {
        const by = event.activityTaskCompletedEventAttributes?.identity;
        if (by) activitiesBy[by] = (activitiesBy[by] ?? 0) + 1;
        if (event.workflowTaskCompletedEventAttributes) workflowTasks += 1;
      }
      largestPayload = Math.max(largestPayload, largestIn(history));
    }
    const scale = all.length / chosen.length;
    found[type] = {
      runs: all.length,
      read: chosen.length,
      events: sizesOf(all.map((run) => run.events)),
      bytes: sizesOf(all.map((run) => run.bytes)),
      largestPayload,
      activities: Object.values(activitiesBy).reduce((sum, count) => sum + count, 0) * scale,
      workflowTasks: workflowTasks * scale,
      activitiesBy,
    };
  }
  return found;
}

const sizesOf = (values: readonly number[]) => ({
  max: values.reduce((most, value) => Math.max(most, value), 0),
  mean: values.reduce((sum, value) => sum + value, 0) / values.length,
});

/** Bytes of the largest payload anywhere in a history: inputs, results, signals, details. */
function largestIn(value: History | unknown): number {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return 0;
  const own = 'data' in value && value.data instanceof Uint8Array ? value.data.length : 0;
  return Object.values(value).reduce<number>((most, one) => Math.max(most, largestIn(one)), own);
}
