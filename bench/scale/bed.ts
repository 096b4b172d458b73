import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { startDevServer } from '../../src/cli/dev-server.ts';
import { packageRoot, temporalBinary } from '../../src/cli/paths.ts';
import { type Child, lastLines, startChild } from '../../src/cli/processes.ts';
import { bundleWorkflows } from '../../src/workers/bundle.ts';
import { findDescendant, memoryBytes, readCpuMs } from '../cpu.ts';
import { addCounts, noCounts, type StoreCounts } from './counted-store.ts';
import type { ScaleWorkerOptions, WorkerSample } from './worker.ts';

/** A dev server with its database in a file, and worker processes that share it and a folder of artifacts. */
export interface ScaleBed {
  client: Client;
  artifacts: string;
  database: string;
  /** What server and workers have used so far. */
  sample(): BedSample;
  /** Rejects when a process has ended that nobody stopped; never resolves. */
  broken: Promise<never>;
  /** Ends the workers, which say their last figures, and gives them. */
  stopWorkers(): Promise<BedSample>;
  close(): Promise<void>;
}

export interface BedSample {
  atMs: number;
  /** Null where the system does not tell. */
  server: { rssBytes: number | null; cpuMs: number | null };
  workers: WorkerSample[];
  store: StoreCounts;
}

export interface ScaleBedOptions {
  folder: string;
  workers: number;
  latencyMs?: number;
  /** Whether the server gives each run its share of a queue. */
  fairness?: boolean;
}

const sampleEveryMs = 500;

export async function openScaleBed(options: ScaleBedOptions): Promise<ScaleBed> {
  const { folder, workers: count, latencyMs = 0, fairness = true } = options;
  mkdirSync(folder, { recursive: true });
  const database = join(folder, 'temporal.db');
  const artifacts = join(folder, 'artifacts');
  const bundle = join(folder, 'workflows.js');
  const { code } = await bundleWorkflows();
  writeFileSync(bundle, code);
  const logFile = join(folder, 'temporal.log');
  const server = await startDevServer({ binary: temporalBinary(), logFile, database, fairness });
  const serverPid = findDescendant(['start-dev', database]);
  const connection = await Connection.connect({ address: server.address });

  const given: ScaleWorkerOptions = { address: server.address, artifacts, bundle, latencyMs, sampleEveryMs };
  const latest = new Map<number, WorkerSample>();
  let stopping = false;
  const workers = Array.from({ length: count }, (_, number) =>
    startChild({
      name: `worker ${number}`,
      command: process.execPath,
      args: ['--import', 'tsx', fileURLToPath(new URL('worker.ts', import.meta.url)), JSON.stringify({ ...given })],
      cwd: packageRoot,
      logFile: join(folder, `worker-${number}.log`),
      onLine: (line) => {
        const sample = sampleIn(line);
        if (sample !== null) latest.set(number, sample);
      },
    }),
  );
  const broken = Promise.race(
    [server.child, ...workers].map((child) => child.exited.then(() => (stopping ? new Promise(() => {}) : child))),
  ).then((child) => {
    const { name, logFile: log } = child as Child;
    return Promise.reject(new Error(`${name} has ended. Its log ends with:\n${lastLines(log)}`));
  }) as Promise<never>;
  broken.catch(() => {});

  const sample = (): BedSample => ({
    atMs: performance.now(),
    server: { rssBytes: memoryBytes(serverPid), cpuMs: readCpuMs(serverPid) },
    workers: [...latest.values()],
    store: [...latest.values()].reduce((sum, worker) => addCounts(sum, worker.store), noCounts),
  });
  async function stopWorkers(): Promise<BedSample> {
    stopping = true;
    await Promise.all(workers.map((worker) => worker.stop(20_000)));
    return sample();
  }
  return {
    client: new Client({ connection }),
    artifacts,
    database,
    sample,
    broken,
    stopWorkers,
    async close() {
      await stopWorkers();
      await connection.close();
      await server.child.stop();
    },
  };
}

function sampleIn(line: string): WorkerSample | null {
  try {
    const value = JSON.parse(line) as WorkerSample;
    return typeof value.pid === 'number' ? value : null;
  } catch {
    return null;
  }
}
