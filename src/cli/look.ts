import { type Client, isGrpcServiceError, type WorkflowHandle, WorkflowNotFoundError } from '@temporalio/client';
import type { Progress } from '../core/progress.ts';
import { findPlan, runNameOf, storedRuns } from '../runs/plans.ts';
import { storedProgress } from '../runs/stages.ts';
import { type RunStatus, runStatus } from '../runs/status.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import { CliError } from './errors.ts';
import { queryProgress } from './follow.ts';

/** A server that does not answer in time is looked past: the store knows most of it. */
const lookMs = 5000;

/** What one look at a run found. */
export interface Look {
  status: RunStatus;
  progress: Progress;
}

/** By the run's name, or by a whole workflow id (`astro/demo/search`). */
export function workflowIdOf(run: string): string {
  return run.includes('/') ? run : `astro/${run}`;
}

/**
 * A run as its workflow tells it, else as it is stored: for runs that are over or broken off, and where no worker
 * answers. Null when neither knows it. A closed workflow answers too, by a replay of its history.
 */
export async function lookAtRun(
  client: Client | null,
  store: ArtifactStore,
  run: string,
  { asksClosed = true } = {},
): Promise<Look | null> {
  const handle = client?.workflow.getHandle(workflowIdOf(run));
  const described = client && handle ? await describeRun(client, handle) : null;
  const isAsked = described !== null && (asksClosed || described.status.name === 'RUNNING');
  const queried = client && handle && isAsked ? await queryProgress(client, handle) : null;
  const progress = queried !== null && queried.stages.length > 0 ? queried : null;
  const times = {
    workflowId: workflowIdOf(run),
    status: described?.status.name.toLowerCase() ?? null,
    startedAtMs: described?.startTime.getTime() ?? null,
    endedAtMs: described?.closeTime?.getTime() ?? null,
    nowMs: Date.now(),
  };
  if (progress !== null) return { progress, status: runStatus({ ...times, progress, source: 'workflow' }) };
  const stored = await progressInStore(store, run);
  if (stored === null && described === null) return null;
  const known: Progress = {
    ...(stored ?? { run: runNameOf(run) ?? run, stages: [] }),
    // What keeps the workflow from answering, if that is known.
    ...(queried?.attention !== undefined && { attention: queried.attention }),
  };
  return { progress: known, status: runStatus({ ...times, progress: known, source: 'store' }) };
}

/** What to say where neither the server nor the store knows a run. */
export async function unknownRun(store: ArtifactStore, run: string, server: string): Promise<CliError> {
  const known = await storedRuns(store);
  const others = known.length === 0 ? 'none has begun there' : `there are ${known.slice(0, 8).join(', ')}`;
  return new CliError(
    `There is no run ${run}: ${server}, and ${store.locate('runs')} has none of that name (${others}). ` +
      'Check the name, or set ASTROFLOW_HOME to the folder in which its worker works.',
  );
}

/** Null for the id of a stage: only runs store their plan. */
async function progressInStore(store: ArtifactStore, run: string): Promise<Progress | null> {
  const name = runNameOf(run);
  const plan = name === null || workflowIdOf(run) !== `astro/${name}` ? null : await findPlan(store, name);
  return plan === null ? null : storedProgress(store, plan);
}

async function describeRun(client: Client, handle: WorkflowHandle) {
  try {
    return await client.withDeadline(Date.now() + lookMs, () => handle.describe());
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null;
    if (isGrpcServiceError(error) && awayCodes.includes(error.code)) return null;
    throw error;
  }
}

/** gRPC's DEADLINE_EXCEEDED and UNAVAILABLE. */
const awayCodes = [4, 14];
