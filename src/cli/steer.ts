import { type Client, WorkflowNotFoundError, WorkflowUpdateFailedError } from '@temporalio/client';
import { type Resolution, resolutions } from '../core/progress.ts';
import { temporalTarget, withClient } from './connection.ts';
import { CliError } from './errors.ts';
import type { Home } from './home.ts';
import { runHandle } from './status.ts';

/** An update is answered by a worker; without one it should not hold up who sent it. */
const updateMs = 15_000;

/** `astroflow pause RUN` */
export function pauseCommand(home: Home, env: NodeJS.ProcessEnv, run: string): Promise<number> {
  return steer(home, env, run, { update: 'pause', said: `Paused: what is under way finishes; ${resumeHint(run)}` });
}

/** `astroflow resume RUN` */
export function resumeCommand(home: Home, env: NodeJS.ProcessEnv, run: string): Promise<number> {
  return steer(home, env, run, { update: 'resume', said: 'The run goes on.' });
}

/** `astroflow resolve RUN retry|skip|abort` */
export async function resolveCommand(home: Home, env: NodeJS.ProcessEnv, run: string, action: string): Promise<number> {
  const known: readonly string[] = resolutions;
  if (!known.includes(action)) throw new CliError(`"${action}" is none of ${known.join(', ')}.`);
  const said: Record<Resolution, string> = {
    retry: 'It is tried again.',
    skip: 'It is left behind; the run goes on without it.',
    abort: 'The run ends with that failure.',
  };
  return steer(home, env, run, { update: 'resolve', argument: { action }, said: said[action as Resolution] });
}

interface Steering {
  update: string;
  argument?: object;
  /** What to say once it is done. */
  said: string;
}

async function steer(home: Home, env: NodeJS.ProcessEnv, run: string, steering: Steering): Promise<number> {
  return withClient(temporalTarget(env, home), async (client) => {
    await send(client, run, steering);
    console.log(steering.said);
    return 0;
  });
}

/** @throws CliError with what the run answered, if it refused */
async function send(client: Client, run: string, { update, argument }: Steering): Promise<void> {
  const handle = await runHandle(client, run);
  try {
    await client.withDeadline(Date.now() + updateMs, () =>
      argument === undefined
        ? handle.executeUpdate(update)
        : handle.executeUpdate<void, [object]>(update, { args: [argument] }),
    );
  } catch (error) {
    if (error instanceof WorkflowUpdateFailedError)
      throw new CliError(`${handle.workflowId} refused: ${error.cause?.message ?? error.message}`);
    if (error instanceof WorkflowNotFoundError) throw new CliError(`${handle.workflowId} has ended.`);
    const { status } = await handle.describe();
    if (status.name !== 'RUNNING') throw new CliError(`${handle.workflowId} has ended.`);
    throw new CliError(
      `No worker took the update of ${handle.workflowId} in ${updateMs / 1000} s. Start one with \`astroflow worker\`, then ` +
        'send it again.',
    );
  }
}

function resumeHint(run: string): string {
  return `\`npx astroflow resume ${run}\` goes on.`;
}
