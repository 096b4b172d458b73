import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { CliError } from './errors.ts';
import { choosePort } from './ports.ts';
import { type Child, lastLines, startChild } from './processes.ts';
import { wantedAttributes } from './search-attributes.ts';

export interface DevServer {
  address: string;
  uiUrl: string;
  child: Child;
}

export interface DevServerOptions {
  binary: string;
  logFile: string;
  /** SQLite file; left out, nothing outlives the server. */
  database?: string;
  /** Taken if free; else, or left out, any free port. */
  port?: number;
  uiPort?: number;
  /** Runs on one queue are served in turn, and not as their work came; on unless a measurement wants it otherwise. */
  fairness?: boolean;
  env?: NodeJS.ProcessEnv;
}

const startupMs = 60_000;

/** Temporal's own dev server. Resolves when its namespace answers. */
export async function startDevServer(options: DevServerOptions): Promise<DevServer> {
  // Between our look at a port and the server's bind somebody else may take it; then another one is chosen.
  for (let attempt = 1; ; attempt++) {
    const [port, uiPort] = await Promise.all([choosePort(options.port), choosePort(options.uiPort)]);
    const address = `127.0.0.1:${port}`;
    const child = startChild({
      name: 'temporal',
      command: options.binary,
      args: serverArguments({ port, uiPort, database: options.database, fairness: options.fairness }),
      logFile: options.logFile,
      ...(options.env && { env: options.env }),
    });
    if (await answers(address, child)) return { address, uiUrl: `http://127.0.0.1:${uiPort}`, child };

    const log = lastLines(options.logFile);
    const exitedAlone = child.hasExited();
    await child.stop();
    if (exitedAlone && attempt < 3 && /address already in use|can't set frontend port|can't set UI port/i.test(log))
      continue;
    throw new CliError(
      `The Temporal dev server ${exitedAlone ? 'ended' : 'did not answer'} during its start. Its log ends with:\n${log}`,
    );
  }
}

export function serverArguments(o: {
  port: number;
  uiPort: number;
  database?: string | undefined;
  fairness?: boolean | undefined;
}): string[] {
  const args = ['server', 'start-dev', '--ip', '127.0.0.1', '--port', `${o.port}`, '--ui-port', `${o.uiPort}`];
  args.push('--log-level', 'error');
  args.push('--dynamic-config-value', `matching.enableFairness=${o.fairness ?? true}`);
  for (const { name, type } of wantedAttributes) args.push('--search-attribute', `${name}=${type}`);
  // Without these two every transaction is flushed to disk, which makes the server three times slower.
  if (o.database !== undefined)
    args.push('--db-filename', o.database, '--sqlite-pragma', 'journal_mode=WAL', '--sqlite-pragma', 'synchronous=1');
  return args;
}

async function answers(address: string, child: Child): Promise<boolean> {
  const deadline = performance.now() + startupMs;
  while (performance.now() < deadline && !child.hasExited()) {
    try {
      const connection = await Connection.connect({ address, connectTimeout: 1000 });
      try {
        await connection.workflowService.describeNamespace({ namespace: 'default' });
        return true;
      } finally {
        await connection.close();
      }
    } catch {
      await Promise.race([sleep(100), child.exited]);
    }
  }
  return false;
}
