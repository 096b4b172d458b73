import { join } from 'node:path';
import { CliError } from './errors.ts';
import { packageRoot, venvPython } from './paths.ts';
import { type Child, lastLines, startChild } from './processes.ts';

export interface Engine {
  child: Child;
  /** Its address, once it is ready; rejects when it ends before that. */
  url: Promise<string>;
}

export interface EngineOptions {
  /** Checkpoints and the usage journal. */
  data: string;
  logFile: string;
  model?: string;
  threads?: number;
  /** Left out: any free one. */
  port?: number;
}

/** Reading the weights takes seconds, on a slow disk or under an emulator minutes. */
const startupMs = 300_000;

/** The bundled model service on a free port. */
export function startEngine(options: EngineOptions): Engine {
  let ready: (url: string) => void = () => {};
  const announced = new Promise<string>((resolve) => {
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
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    const message = `The engine did not start within ${startupMs / 1000} s; its log is ${options.logFile}`;
    timer = setTimeout(() => reject(new CliError(message)), startupMs);
  });
  const url = Promise.race([announced, child.exited, tooLate]).then((first) => {
    if (first !== undefined) return first;
    const log = lastLines(options.logFile);
    throw new CliError(`The engine ended during its start. Its log (${options.logFile}) ends with:\n${log}`);
  });
  void url.catch(() => {}).finally(() => clearTimeout(timer));
  return { child, url };
}

export function engineArguments({ data, model, threads = 2, port = 0 }: EngineOptions): string[] {
  const args = ['-m', 'engine', '--model', model ?? join('engine', 'base', 'model'), '--data', data];
  args.push('--host', '127.0.0.1', '--port', `${port}`, '--threads', `${threads}`, '--parent-pid', `${process.pid}`);
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
