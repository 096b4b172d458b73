import type { WorkflowHandle } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';

type HistoryJson = { events: { eventType: string }[] };

export async function historyOf(handle: Pick<WorkflowHandle, 'fetchHistory'>): Promise<HistoryJson> {
  return JSON.parse(historyToJSON(await handle.fetchHistory()));
}

/** Bytes of the largest payload anywhere in a history: inputs, results, signals, details, memo. */
export function largestPayload(history: unknown): number {
  if (typeof history !== 'object' || history === null) return 0;
  const own = 'data' in history && typeof history.data === 'string' ? Buffer.from(history.data, 'base64').length : 0;
  return Math.max(own, ...Object.values(history).map(largestPayload));
}

/** How often each kind of event occurs. */
export function eventCounts(history: HistoryJson): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { eventType } of history.events) counts[eventType] = (counts[eventType] ?? 0) + 1;
  return counts;
}
