import { join } from 'node:path';
import { CliError } from './errors.ts';
import { packageRoot, venvPython } from './paths.ts';
import { type Child, lastLines, startChild } from './processes.ts';

export interface Engine {
  url: string;
  child: Child;
}

export interface EngineOptions {
  /** Checkpoints and the usage journal. */
  data: string;
  logFile: string;
  model?: string;
  threads?: number;
}

/** The bundled model service on a free port. Resolves when it says that it is ready. */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  let ready: (url: string) => void = () => {};
  const url = new Promise<string>((resolve) => {
    ready = resolve;
  });
  const child = startChild({
    name: 'engine',
    command: venvPython(),
    args: engineArguments(options),
    cwd: packageRoot,
    logFile: options.logFile,
    env: { ...process.env, PYTHONUNBUFFERED: '1' },
    onLine: (line) => {
      const found = readyUrl(line);
      if (found !== null) ready(found);
    },
  });
  const first = await Promise.race([url, child.exited]);
  if (first !== undefined) return { url: first, child };
  throw new CliError(
    `The engine ended during its start. Its log (${options.logFile}) ends with:\n${lastLines(options.logFile)}`,
  );
}

export function engineArguments({ data, model, threads = 2 }: EngineOptions): string[] {
  const args = ['-m', 'engine', '--model', model ?? join('engine', 'base', 'model'), '--data', data];
  args.push('--host', '127.0.0.1', '--port', '0', '--threads', `${threads}`, '--parent-pid', `${process.pid}`);
  return args;
}

/** The address in the engine's ready line `{"ready":true,"url":"…"}`; null for any other line. */
export function readyUrl(line: string): string | null {
  if (!line.startsWith('{')) return null;
  try {
    const message = JSON.parse(line) as { ready?: unknown; url?: unknown };
    return message.ready === true && typeof message.url === 'string' ? message.url : null;
  } catch {
    return null;
  }
}
