import { join } from 'node:path';
import { NativeConnection, Runtime } from '@temporalio/worker';
import { openServices } from '../services/index.ts';
import { folderStore } from '../services/store/folder.ts';
import { createWorkers, defaultTaskQueue } from '../workers/worker.ts';
import { type Target, temporalTarget, unreachable } from './connection.ts';
import { createHome, type Home } from './home.ts';
import { aborted, onInterrupt } from './interrupt.ts';
import { installRuntime } from './runtime.ts';
import { readServerFile } from './server-file.ts';

export interface OpenWorkers {
  /** Rejects when the workers cannot go on. */
  running: Promise<void>;
  /** Lets running activities finish, within the workers' grace time. */
  stop(): Promise<void>;
}

/** The workers of this process. `env` is read at each call of a service, so its owner may move one while it runs. */
export async function openWorkers(options: {
  target: Target;
  taskQueue?: string;
  home: Home;
  env: NodeJS.ProcessEnv;
}): Promise<OpenWorkers> {
  const { target, taskQueue, home, env } = options;
  // Where the SDK logs: not across a terminal that shows progress.
  const warn = (message: string) => Runtime.instance().logger.warn(message);
  const connection = await NativeConnection.connect(target.connectionOptions).catch((error) => {
    throw unreachable(target, error);
  });
  try {
    const workers = await createWorkers({
      connection,
      namespace: target.namespace,
      deps: { store: folderStore(home.artifacts), services: openServices(env, warn) },
      ...(taskQueue !== undefined && { taskQueue }),
    });
    const running = workers.run();
    return {
      running,
      async stop() {
        workers.shutdown();
        // How they ended was for whoever waits on `running`.
        await running.catch(() => {});
        await connection.close();
      },
    };
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** `astroflow worker`: serves the queues of any server until Ctrl-C. */
export async function workerCommand(
  home: Home,
  env: NodeJS.ProcessEnv,
  options: { taskQueue?: string },
): Promise<number> {
  createHome(home);
  installRuntime();
  const target = temporalTarget(env, home);
  const engineUrl = readServerFile(home.server)?.engineUrl;
  const workers = await openWorkers({
    target,
    home,
    env: engineUrl === undefined ? env : { ASTROFLOW_ENGINE_URL: engineUrl, ...env },
    ...options,
  });
  console.log(
    `Worker on ${target.address}, namespace ${target.namespace}, queue ${options.taskQueue ?? defaultTaskQueue}; ` +
      `artifacts in ${join(home.artifacts)}. Ctrl-C stops it.`,
  );
  const interrupt = onInterrupt(() => console.log('Finishing what runs (Ctrl-C again: at once) …'));
  try {
    await Promise.race([workers.running, aborted(interrupt.signal)]);
  } finally {
    await workers.stop();
    interrupt.dispose();
  }
  return 0;
}
