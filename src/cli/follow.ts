import { setTimeout as sleep } from 'node:timers/promises';
import type { Client, WorkflowHandle } from '@temporalio/client';
import type { Progress } from '../core/progress.ts';

const pollMs = 1000;
/** A query waits for a worker; without one it should not hold up what asks. */
const queryMs = 5000;
/** A workflow task that was tried this often fails for a reason that trying again does not cure. */
const stuckAttempts = 3;

/**
 * Shows progress until the workflow ends or the signal fires (then: undefined). Rejects as the workflow fails. It polls
 * rather than waits for the result, so that no call is left under way when it returns.
 */
export async function follow(
  client: Client,
  handle: WorkflowHandle,
  show: (progress: Progress) => void,
  signal: AbortSignal,
): Promise<{ result: unknown } | undefined> {
  for (;;) {
    const running = await isRunning(client, handle);
    const progress = await queryProgress(client, handle);
    if (progress !== null) show(progress);
    if (signal.aborted) return undefined;
    if (!running) return { result: await handle.result() };
    await sleep(pollMs, undefined, { signal }).catch(() => {});
  }
}

/** A server that does not answer says nothing about the run: it goes on. */
async function isRunning(client: Client, handle: WorkflowHandle): Promise<boolean> {
  try {
    const { status } = await client.withDeadline(Date.now() + queryMs, () => handle.describe());
    return status.name === 'RUNNING';
  } catch {
    return true;
  }
}

/** Null when no worker answers. */
export async function queryProgress(client: Client, handle: WorkflowHandle): Promise<Progress | null> {
  try {
    return await client.withDeadline(Date.now() + queryMs, () => handle.query<Progress>('progress'));
  } catch {
    const stuck = await stuckTask(client, handle);
    return stuck === null ? null : { run: '', stages: [], attention: stuck };
  }
}

async function stuckTask(client: Client, handle: WorkflowHandle): Promise<string | null> {
  try {
    const { raw } = await client.withDeadline(Date.now() + queryMs, () => handle.describe());
    const attempt = raw.pendingWorkflowTask?.attempt ?? 0;
    return attempt < stuckAttempts
      ? null
      : `${handle.workflowId}: its workflow task failed ${attempt} times; the worker's log says why`;
  } catch {
    return null;
  }
}
