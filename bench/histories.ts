import type { Client, WorkflowHandle } from '@temporalio/client';

export type History = Awaited<ReturnType<WorkflowHandle['fetchHistory']>>;
export type HistoryEvent = NonNullable<History['events']>[number];

export interface RunHistory {
  workflowId: string;
  workflowType: string;
  history: History;
}

/** Histories of a finished workflow, of the runs that it continued from, and of all children below them. */
export async function readHistories(client: Client, workflowId: string, runId?: string): Promise<RunHistory[]> {
  const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
  const events = history.events ?? [];
  const started = events[0]?.workflowExecutionStartedEventAttributes;
  const found: RunHistory[] = [{ workflowId, workflowType: started?.workflowType?.name ?? '', history }];
  if (started?.continuedExecutionRunId)
    found.push(...(await readHistories(client, workflowId, started.continuedExecutionRunId)));
  for (const { childWorkflowExecutionStartedEventAttributes: child } of events) {
    const childId = child?.workflowExecution?.workflowId;
    if (childId) found.push(...(await readHistories(client, childId)));
  }
  return found;
}

export function countEvents(histories: readonly RunHistory[], matches: (event: HistoryEvent) => boolean): number {
  return histories.reduce((sum, { history }) => sum + (history.events ?? []).filter(matches).length, 0);
}
