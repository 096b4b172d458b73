import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { dataConverterFrom, withClient } from '../src/cli/connection.ts';
import { describeFailure } from '../src/cli/failure.ts';
import { rootWorkflow, startRun } from '../src/cli/start.ts';
import type { RunConfigInput } from '../src/config/schema.ts';
import type { Bed } from './bed.ts';

/** Name of every run: each has a server and a store of its own. */
export const run = 'chaos';

const pollMs = 250;
const callMs = 5_000;
/** Longer than any time-out that a kill has to wait for. */
const standstillMs = 180_000;

/** Runs the pipeline to its end on a bed whose server may come and go. Rejects when the run fails. */
export async function runPipeline(bed: Bed, document: RunConfigInput, signal: AbortSignal): Promise<void> {
  const { address } = bed;
  const dataConverter = dataConverterFrom(process.env);
  await withClient({ address, connectionOptions: { address }, namespace: 'default', dataConverter }, async (client) => {
    const handle = await startRun(client, { workflow: rootWorkflow, run, document: { ...document } });
    let seen = { artifacts: 0, atMs: Date.now() };
    for (;;) {
      const artifacts = await bed.contents.count();
      if (artifacts !== seen.artifacts) seen = { artifacts, atMs: Date.now() };
      if (Date.now() - seen.atMs > standstillMs)
        throw new Error(`the run has stored nothing for ${standstillMs / 1000} s; the logs say why`);
      const status = await client.withDeadline(Date.now() + callMs, () => statusOf(handle));
      if (status === 'COMPLETED') return;
      if (status !== 'RUNNING' && status !== null)
        throw await handle
          .result()
          .catch((error) => new Error(`the run ended as ${status}: ${describeFailure(error)}`));
      await sleep(pollMs, undefined, { signal });
    }
  });
}

/** Null while nobody answers: a server that is down says nothing about the run. */
async function statusOf(handle: WorkflowHandle): Promise<string | null> {
  try {
    return (await handle.describe()).status.name;
  } catch {
    return null;
  }
}
