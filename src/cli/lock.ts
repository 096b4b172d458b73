import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { CliError } from './errors.ts';

interface LockHolder {
  pid: number;
  /** `startOf(pid)` when it was taken: a pid alone may since have gone to another process. */
  start: string;
  command: string;
}

/**
 * Takes the lock file for this process, or throws an error that names who has it. A lock whose holder is gone is taken
 * over. Returns the release.
 */
export function takeLock(file: string, command: string, advice = demoAdvice): () => void {
  const content = JSON.stringify({ pid: process.pid, start: startOf(process.pid), command } satisfies LockHolder);
  // Twice: the second try follows the removal of a stale file; losing that race to another process is "held".
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      writeFileSync(file, content, { flag: 'wx' });
      return () => {
        if (readHolder(file)?.pid === process.pid) rmSync(file, { force: true });
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = readHolder(file);
    if (holder !== null && isRunning(holder)) throw new CliError(heldMessage(holder, file, advice));
    rmSync(file, { force: true });
  }
  throw new CliError(`Another astroflow is just starting here (${file}).`);
}

/** Whether the process that wrote this is still the one with that pid. */
export function isRunning(holder: Pick<LockHolder, 'pid' | 'start'>): boolean {
  const start = startOf(holder.pid);
  return start !== '' && start === holder.start;
}

/** What tells a process from a later one with the same pid; empty if there is none. */
export function startOf(pid: number): string {
  if (process.platform === 'linux') {
    try {
      // The 22nd field of stat, counted after the parenthesised name; ticks since boot, hence the boot's id.
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
      return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}/${ticks}`;
    } catch {
      return '';
    }
  }
  return spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).stdout?.trim() ?? '';
}

function readHolder(file: string): LockHolder | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as LockHolder;
  } catch {
    return null;
  }
}

const demoAdvice =
  'Look on with `astroflow watch demo`, stop it with Ctrl-C in its terminal, or set ASTROFLOW_HOME to another folder for ' +
  'a second one.';

function heldMessage({ command, pid }: LockHolder, file: string, advice: string): string {
  return `\`astroflow ${command}\` is already running here (pid ${pid}).\n${advice} (Lock: ${file})`;
}
