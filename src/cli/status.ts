import { type Client, type WorkflowHandle, WorkflowNotFoundError } from '@temporalio/client';
import { temporalTarget, withClient } from './connection.ts';
import { CliError } from './errors.ts';
import { queryProgress } from './follow.ts';
import type { Home } from './home.ts';
import { renderProgress } from './progress.ts';
import { followToEnd } from './start.ts';

/** `astroflow status RUN`: one look. */
export async function statusCommand(home: Home, env: NodeJS.ProcessEnv, run: string): Promise<number> {
  return withClient(temporalTarget(env, home), async (client) => {
    const handle = await runHandle(client, run);
    const { status, startTime, closeTime } = await handle.describe();
    const times = [`started ${startTime.toISOString()}`, ...(closeTime ? [`ended ${closeTime.toISOString()}`] : [])];
    console.log(`${handle.workflowId}: ${status.name.toLowerCase()}, ${times.join(', ')}`);
    const progress = await queryProgress(client, handle);
    if (progress === null) {
      console.log('No worker answers, so its progress is not known; start one with `astroflow worker`.');
      return 0;
    }
    const { stdout } = process;
    const options = { nowMs: Date.now(), width: stdout.columns || 120, color: stdout.hasColors?.() ?? false };
    for (const line of renderProgress(progress, options)) console.log(line);
    return 0;
  });
}

/** `astroflow watch RUN`: until it ends. */
export async function watchCommand(home: Home, env: NodeJS.ProcessEnv, run: string): Promise<number> {
  return withClient(temporalTarget(env, home), async (client) => {
    const handle = await runHandle(client, run);
    return followToEnd(client, handle, home);
  });
}

/** By the run's name, or by a whole workflow id (`astro/demo/search`). */
export async function runHandle(client: Client, run: string): Promise<WorkflowHandle> {
  const handle = client.workflow.getHandle(run.includes('/') ? run : `astro/${run}`);
  try {
    await handle.describe();
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) throw new CliError(`This server knows no run ${handle.workflowId}.`);
    throw error;
  }
  return handle;
}
