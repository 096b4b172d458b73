import { type Client, type WorkflowHandle, WorkflowNotFoundError } from '@temporalio/client';
import type { RunStatus } from '../runs/status.ts';
import { openStore } from '../services/store/open.ts';
import { columnsOf } from './columns.ts';
import { temporalTarget, withClientIfThere } from './connection.ts';
import { CliError } from './errors.ts';
import type { Home } from './home.ts';
import { type Look, lookAtRun, unknownRun, workflowIdOf } from './look.ts';
import { renderProgress } from './progress.ts';

/** `astroflow status RUN`: one look, at the server and else at what is stored. */
export async function statusCommand(
  home: Home,
  env: NodeJS.ProcessEnv,
  run: string,
  options: { json?: boolean } = {},
): Promise<number> {
  const store = await openStore(home.artifacts);
  const target = temporalTarget(env, home);
  return withClientIfThere(target, async (client) => {
    const look = await lookAtRun(client, store, run);
    if (look === null)
      throw await unknownRun(
        store,
        run,
        client === null ? noServer(target) : `the server ${target.address} knows it not`,
      );
    if (options.json) console.log(JSON.stringify(look.status, null, 2));
    else for (const line of statusLines(look, process.stdout)) console.log(line);
    return 0;
  });
}

export function statusLines({ status, progress }: Look, out: NodeJS.WriteStream): string[] {
  const options = { nowMs: Date.now(), width: columnsOf(out), color: out.hasColors?.() ?? false };
  return [headline(status), ...sourceNote(status), ...renderProgress(progress, options)];
}

function headline({ workflowId, status, startedAt, endedAt }: RunStatus): string {
  const times = [...(startedAt ? [`started ${startedAt}`] : []), ...(endedAt ? [`ended ${endedAt}`] : [])];
  return [`${workflowId}: ${status ?? 'not known to a server'}`, ...times].join(', ');
}

function sourceNote({ source, status }: RunStatus): string[] {
  if (source === 'workflow') return [];
  return status === 'running'
    ? ['No worker answers, so this is what is stored; start one with `astroflow worker`.']
    : ['This is what is stored.'];
}

function noServer({ address }: { address: string }): string {
  return `no Temporal server answers at ${address}`;
}

/** @throws CliError when the server does not know the workflow */
export async function runHandle(client: Client, run: string): Promise<WorkflowHandle> {
  const handle = client.workflow.getHandle(workflowIdOf(run));
  try {
    await handle.describe();
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) throw new CliError(`This server knows no run ${handle.workflowId}.`);
    throw error;
  }
  return handle;
}
