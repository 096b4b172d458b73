import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import type { ActivityDeps } from '../src/activities/deps.ts';
import { startDevServer } from '../src/cli/dev-server.ts';
import { startEngine } from '../src/cli/engine.ts';
import { temporalBinary } from '../src/cli/paths.ts';
import { lastLines } from '../src/cli/processes.ts';
import { installRuntime } from '../src/cli/runtime.ts';
import { bundleWorkflows, type WorkflowBundle } from '../src/workers/bundle.ts';
import { createWorkers } from '../src/workers/worker.ts';
import { findDescendant } from './cpu.ts';

/** The test bed: real server, real engine, and one workflow bundle for all workers, all in one folder. */
export interface Bed {
  folder: string;
  client: Client;
  engineUrl: string;
  /** For CPU figures; null where the system does not tell. */
  pids: { server: number | null; engine: number | null };
  workflowBundle: WorkflowBundle;
  /** Runs `body` while workers with these dependencies serve a queue of their own. */
  withWorkers<T>(deps: ActivityDeps, body: (taskQueue: string) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface BedOptions {
  folder: string;
  model: string;
  threads: number;
}

export async function openBed({ folder, model, threads }: BedOptions): Promise<Bed> {
  installRuntime({ logFile: join(folder, 'worker.log') });
  const data = join(folder, 'engine');
  mkdirSync(data, { recursive: true });
  const database = join(folder, 'temporal.db');
  const server = await startDevServer({ binary: temporalBinary(), logFile: join(folder, 'temporal.log'), database });
  const engine = startEngine({ data, logFile: join(folder, 'engine.log'), model, threads });
  const { address } = server;
  const [engineUrl, connection, nativeConnection, workflowBundle] = await Promise.all([
    engine.url,
    Connection.connect({ address }),
    NativeConnection.connect({ address }),
    bundleWorkflows(),
  ]);
  let queues = 0;
  // Activities would retry for half an hour against a service that is gone.
  const broken = Promise.race([
    server.child.exited.then(() => server.child),
    engine.child.exited.then(() => engine.child),
  ]).then((child) =>
    Promise.reject(new Error(`${child.name} has ended. Its log ends with:\n${lastLines(child.logFile)}`)),
  );
  broken.catch(() => {});

  return {
    folder,
    client: new Client({ connection }),
    engineUrl,
    pids: { server: findDescendant(['start-dev', database]), engine: findDescendant(['engine', data]) },
    workflowBundle,
    async withWorkers(deps, body) {
      queues += 1;
      const taskQueue = `bench-${queues}`;
      const workers = await createWorkers({
        connection: nativeConnection,
        namespace: 'default',
        deps,
        taskQueue,
        workflowBundle,
      });
      const running = workers.run();
      try {
        return await Promise.race([
          body(taskQueue),
          running.then(() => Promise.reject(new Error('the workers ended'))),
          broken,
        ]);
      } finally {
        workers.shutdown();
        await running.catch(() => {});
      }
    },
    async close() {
      await connection.close();
      await nativeConnection.close();
      await engine.child.stop();
      await server.child.stop();
    },
  };
}
