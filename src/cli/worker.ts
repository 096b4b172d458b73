import { NativeConnection } from '@temporalio/worker';
import { type ObservedWorker, observeWorker } from '../observe/observe-worker.ts';
import { openStore } from '../services/store/open.ts';
import type { Deployment } from '../workers/deployment.ts';
import { type HealthServer, serveHealth } from '../workers/health.ts';
import { createWorkers, defaultGraceMs, defaultTaskQueue, type Workers } from '../workers/worker.ts';
import { callMs, type Target, temporalTarget, unreachable } from './connection.ts';
import { deploymentFrom, setCurrentCommand } from './deployment.ts';
import { CliError } from './errors.ts';
import { createHome, type Home } from './home.ts';
import { aborted, onInterrupt } from './interrupt.ts';
import { installRuntime } from './runtime.ts';
import { readServerFile } from './server-file.ts';

export interface OpenWorkers {
  /** Which version of a deployment they are; null without one. */
  buildId: string | null;
  /** Rejects when the workers cannot go on. */
  running: Promise<void>;
  /** Lets calls in flight finish for the workers' grace time, and hands over the rest. */
  stop(): Promise<void>;
}

/** The workers of this process. `env` is read at each call of a service, so its owner may move one while it runs. */
export async function openWorkers(options: {
  target: Target;
  taskQueue?: string;
  graceMs?: number;
  sampleSlots?: number;
  home: Home;
  env: NodeJS.ProcessEnv;
  deployment?: Deployment | null;
}): Promise<OpenWorkers> {
  const { target, taskQueue, graceMs, sampleSlots, home, env, deployment } = options;
  const store = await openStore(home.artifacts);
  // Before a workflow finds out in the middle of its work.
  await store.check();
  const connection = await connect(target);
  let observed: ObservedWorker | undefined;
  try {
    const { namespace, dataConverter } = target;
    observed = await observeWorker({ store, connection, namespace, dataConverter, env });
    const workers = await createWorkers({
      connection,
      namespace,
      dataConverter,
      deps: observed,
      tracing: observed.tracing,
      ...(taskQueue !== undefined && { taskQueue }),
      ...(graceMs !== undefined && { graceMs }),
      ...(sampleSlots !== undefined && { sampleSlots }),
      ...(deployment && { deployment }),
    });
    const running = workers.run();
    const health = env.ASTROFLOW_HEALTH_ADDRESS
      ? await healthAt(env.ASTROFLOW_HEALTH_ADDRESS, workers, running)
      : undefined;
    return {
      running,
      buildId: workers.buildId,
      async stop() {
        workers.shutdown();
        // How they ended was for whoever waits on `running`.
        await running.catch(() => {});
        await health?.close();
        await observed?.close();
        // A worker that had to be left behind still holds it, and the process ends anyway.
        await connection.close().catch(() => {});
      },
    };
  } catch (error) {
    await observed?.close();
    await connection.close();
    throw error;
  }
}

/** Workers that run already are stopped again if their health cannot be asked for where it should be. */
async function healthAt(address: string, workers: Workers, running: Promise<void>): Promise<HealthServer> {
  try {
    return await serveHealth(address, () => workers.problem());
  } catch (error) {
    workers.shutdown();
    await running.catch(() => {});
    throw new CliError(`ASTROFLOW_HEALTH_ADDRESS: ${(error as Error).message}`);
  }
}

/** A connection for workers. Its own attempts have no common deadline, so a silent address would be waited for. */
async function connect(target: Target): Promise<NativeConnection> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${callMs / 1000} s`)), callMs);
  });
  try {
    return await Promise.race([NativeConnection.connect(target.connectionOptions), tooLate]);
  } catch (error) {
    throw unreachable(target, error);
  } finally {
    clearTimeout(timer);
  }
}

/** `astroflow worker`: serves the queues of any server until Ctrl-C or SIGTERM. `grace` is in seconds. */
export async function workerCommand(
  home: Home,
  env: NodeJS.ProcessEnv,
  { taskQueue, grace, sampleSlots }: { taskQueue?: string; grace?: number; sampleSlots?: number },
): Promise<number> {
  const graceMs = grace === undefined ? defaultGraceMs : grace * 1000;
  createHome(home);
  installRuntime({ env });
  const target = temporalTarget(env, home);
  const deployment = deploymentFrom(env);
  const engineUrl = readServerFile(home.server)?.engineUrl;
  const workers = await openWorkers({
    target,
    home,
    env: engineUrl === undefined ? env : { ASTROFLOW_ENGINE_URL: engineUrl, ...env },
    graceMs,
    ...(sampleSlots !== undefined && { sampleSlots }),
    deployment,
    ...(taskQueue !== undefined && { taskQueue }),
  });
  console.log(
    `Worker on ${target.address}, namespace ${target.namespace}, queue ${taskQueue ?? defaultTaskQueue}; ` +
      `artifacts in ${home.artifacts}. Ctrl-C stops it.`,
  );
  if (deployment !== null && workers.buildId !== null) {
    console.log(
      `Version ${workers.buildId} of deployment ${deployment.name}. Runs come to it once it is the current one:`,
    );
    console.log(`  ${setCurrentCommand(deployment.name, workers.buildId)}`);
  }
  const interrupt = onInterrupt(() =>
    console.log(`Finishing what ends within ${graceMs / 1000} s, handing over the rest (Ctrl-C again: at once) …`),
  );
  try {
    await Promise.race([workers.running, aborted(interrupt.signal)]);
  } finally {
    await workers.stop();
    interrupt.dispose();
  }
  return 0;
}
