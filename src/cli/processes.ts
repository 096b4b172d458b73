import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, closeSync, openSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

export interface Child {
  name: string;
  logFile: string;
  /** Resolves when it has ended, however that came about. */
  exited: Promise<void>;
  hasExited(): boolean;
  /** SIGTERM, then SIGKILL after `graceMs`. Resolves when it has ended. */
  stop(graceMs?: number): Promise<void>;
  /** SIGKILL at once: it learns nothing of its end. Resolves when it is gone. */
  kill(): Promise<void>;
}

export interface ChildOptions {
  name: string;
  command: string;
  args: string[];
  logFile: string;
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Gets every line of standard output, which goes to the log as well. */
  onLine?: (line: string) => void;
}

/**
 * The child runs under a small shell that ends it as soon as our end of its standard input closes, which the kernel
 * does even when we are killed. It leads a process group of its own, so that Ctrl-C reaches us alone and children
 * can be stopped in order. A signal ends the shell's first wait, so it waits again until the child has really ended.
 */
const guard = `
exec 3<&0
"$@" </dev/null 3<&- &
child=$!
trap 'kill -TERM $child 2>/dev/null' TERM
{ cat <&3 >/dev/null; kill -TERM $child; } 2>/dev/null &
wait $child
while kill -0 $child 2>/dev/null; do wait $child; done
`;

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) signalGroup(child, 'SIGKILL');
});

/** Starts a process of ours with its own log file. */
export function startChild(options: ChildOptions): Child {
  const { name, command, args, logFile, cwd, env, onLine } = options;
  const log = openSync(logFile, 'w');
  const child = spawn('sh', ['-c', guard, name, command, ...args], {
    cwd,
    env: env ?? process.env,
    detached: true,
    stdio: ['pipe', onLine ? 'pipe' : log, log],
  });
  running.add(child);
  if (onLine && child.stdout)
    createInterface({ input: child.stdout }).on('line', (line) => {
      appendFileSync(logFile, `${line}\n`);
      onLine(line);
    });

  let ended = false;
  const exited = new Promise<void>((done) => {
    const end = () => {
      if (ended) return;
      ended = true;
      running.delete(child);
      closeSync(log);
      // The guard may end before what it guards.
      signalGroup(child, 'SIGKILL');
      done();
    };
    child.on('exit', end);
    child.on('error', (error) => {
      appendFileSync(logFile, `${error.message}\n`);
      end();
    });
  });

  return {
    name,
    logFile,
    exited,
    hasExited: () => ended,
    async stop(graceMs = 10_000) {
      if (ended) return;
      signalGroup(child, 'SIGTERM');
      const timer = setTimeout(() => signalGroup(child, 'SIGKILL'), graceMs);
      await exited;
      clearTimeout(timer);
    },
    async kill() {
      if (ended) return;
      signalGroup(child, 'SIGKILL');
      await exited;
    },
  };
}

/** The last lines of a child's log, for an error message. */
export function lastLines(logFile: string, count = 15): string {
  try {
    return readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-count).join('\n');
  } catch {
    return '';
  }
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // Nobody of the group is left.
  }
}
