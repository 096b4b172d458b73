import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { descendants, isAlive } from '../support/processes.ts';

export interface RayCluster {
  /** Of its dashboard. */
  address: string;
  close(): Promise<void>;
}

/** Under load Ray takes most of a minute to start. */
const START_MS = 240_000;

/** A real Ray cluster of one node with two CPUs, on ports and in a folder of its own, in a process group of its own. */
export async function startRay(python: string): Promise<RayCluster> {
  // Not below TMPDIR: Ray's sockets lie in it, and their names may have 107 bytes.
  const folder = mkdtempSync('/tmp/ray-');
  const [head, dashboard, agent, client, metrics] = await freePorts(5);
  const options = {
    port: head,
    'dashboard-host': '127.0.0.1',
    'dashboard-port': dashboard,
    'dashboard-agent-listen-port': agent,
    'ray-client-server-port': client,
    'metrics-export-port': metrics,
    'num-cpus': 2,
    'object-store-memory': 100_000_000,
    'temp-dir': folder,
  };
  const named = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
  const log: Buffer[] = [];
  const child = spawn(join(python, '..', 'ray'), ['start', '--head', '--block', '--disable-usage-stats', ...named], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, OMP_NUM_THREADS: '1', RAY_enable_worker_prestart: '0', RAY_ENABLE_UV_RUN_RUNTIME_ENV: '0' },
  });
  child.stdout.on('data', (data) => log.push(data));
  child.stderr.on('data', (data) => log.push(data));
  const cluster = { address: `http://127.0.0.1:${dashboard}`, close: () => end(child, folder) };
  try {
    await answers(cluster.address, child);
    return cluster;
  } catch (error) {
    await cluster.close();
    throw new Error(`Ray did not start: ${(error as Error).message}\n${Buffer.concat(log)}`);
  }
}

async function answers(address: string, child: ChildProcess): Promise<void> {
  for (const until = Date.now() + START_MS; Date.now() < until; await delay(200)) {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
    // The list of jobs needs more than the page that says the version.
    const answer = await fetch(`${address}/api/jobs/`).catch(() => null);
    if (answer?.ok) return;
  }
  throw new Error(`${address} did not answer in ${START_MS} ms`);
}

/** Every process that came from it, jobs included: workers and jobs have groups of their own. */
async function end(child: ChildProcess, folder: string): Promise<void> {
  const pids = child.pid === undefined ? [] : [child.pid, ...descendants(child.pid)];
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
  while (pids.some(isAlive)) await delay(50);
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((done) => {
          server.listen(0, '127.0.0.1', () => done((server.address() as { port: number }).port));
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}
