import type { Client, WorkflowHandle } from '@temporalio/client';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { typedInSecrets } from '../config/redact.ts';
import { openTracing } from '../observe/tracing.ts';
import { defaultTaskQueue } from '../workers/worker.ts';
import { type ConfigDocument, readConfigFile, runNameFor, withSeed } from './config-file.ts';
import { temporalTarget, withClient } from './connection.ts';
import { CliError } from './errors.ts';
import type { Home } from './home.ts';
import { startAttributes } from './search-attributes.ts';
import { followToEnd } from './watch.ts';

export const rootWorkflow = 'astroPipeline';

export interface StartOptions {
  workflow: string;
  run?: string;
  /** Instead of the configuration's. */
  seed?: number;
  taskQueue?: string;
  /** 1 to 5, 1 first; left out, the server's default, 3. */
  priority?: number;
  wait?: boolean;
}

/** `astro/<run>`; a stage that is started alone has its own name under it, beside the pipeline's own stages. */
export function workflowIdFor(run: string, workflow: string): string {
  return workflow === rootWorkflow ? `astro/${run}` : `astro/${run}/${workflow}`;
}

/**
 * Starts a workflow, or gives back the one with that id which is running already.
 * @throws CliError when the configuration has secrets in it, before it is sent
 */
export async function startRun(
  client: Client,
  options: { workflow: string; run: string; document: ConfigDocument; taskQueue?: string; priority?: number },
): Promise<WorkflowHandle> {
  const { workflow, run, document, taskQueue = defaultTaskQueue, priority } = options;
  const secrets = typedInSecrets(document);
  if (secrets.length > 0)
    throw new CliError(
      `The configuration holds secrets (${secrets.join(', ')}), and the run's history would keep them: write ` +
        '{"env": "NAME"} instead, and start the worker with that variable.',
    );
  const workflowId = workflowIdFor(run, workflow);
  try {
    return await client.workflow.start(workflow, {
      workflowId,
      taskQueue,
      args: [{ ...document, run }],
      workflowIdConflictPolicy: 'USE_EXISTING',
      staticSummary: `run ${run}`,
      // Whatever it starts inherits the priority, and has the run's name as fairness key as well.
      priority: { fairnessKey: run, ...(priority !== undefined && { priorityKey: priority }) },
      typedSearchAttributes: await startAttributes(client, { run, workflow, document }),
    });
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError)
      throw new CliError(`${workflowId} exists already; choose another name with --run.`);
    throw error;
  }
}

/** `astroflow start CONFIG` */
export async function startCommand(
  home: Home,
  env: NodeJS.ProcessEnv,
  path: string,
  options: StartOptions,
): Promise<number> {
  const document = withSeed(readConfigFile(path), options.seed);
  const run = runNameFor(document, path, options.run);
  const tracing = await openTracing(env);
  const target = { ...temporalTarget(env, home), ...(tracing && { interceptors: tracing.client }) };
  return withClient(target, async (client) => {
    const handle = await startRun(client, { ...options, run, document });
    console.log(`Started ${handle.workflowId}`);
    await tracing?.close();
    if (options.wait) return followToEnd(client, handle, { home, env });
    console.log(`Look on with \`astroflow watch ${run}\`.`);
    return 0;
  });
}
