import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { endState, type JobFiles, jobFiles, readLog, stopped, vanished, writeScript } from './job-script.ts';
import type { JobBackend, JobState } from './jobs.ts';

/** From the request to end to the kill. */
const GRACE_MS = 10_000;
const LOOK_MS = 50;

/**
 * Jobs on this machine: process groups of their own, which outlive the worker. Their state lies below `root`.
 * CPUs and GPUs are not divided among them.
 */
export function processJobs(root: string, { graceMs = GRACE_MS } = {}): JobBackend {
  const stateOf = async (files: JobFiles): Promise<JobState | null> => {
    if (!existsSync(files.script)) return null;
    const pid = runningPid(files);
    // In this order: a script leaves its exit code before it is gone.
    const end = await endState(files);
    if (end !== null) return end;
    if (pid !== null) return { status: 'running', message: `process ${pid}`, exitCode: null, cause: null };
    if (isOrphaned(files))
      return { status: 'running', message: 'its program goes on without the script', exitCode: null, cause: null };
    if (existsSync(files.pid)) return existsSync(files.stopping) ? stopped : vanished;
    return existsSync(files.started) ? { status: 'pending', message: 'it begins', exitCode: null, cause: null } : null;
  };

  return {
    async submit(spec, signal) {
      signal.throwIfAborted();
      const files = jobFiles(root, spec.id);
      if ((await stateOf(files)) !== null) return;
      await writeScript(files, spec);
      const child = spawn('/bin/sh', [files.script], { detached: true, stdio: 'ignore' });
      await new Promise<void>((done, fail) => child.once('spawn', done).once('error', fail));
      child.unref();
      // Known from now on, so that nobody who asks next is told that there is no such job.
      while (!existsSync(files.pid)) await delay(LOOK_MS, undefined, { signal });
    },

    get: async (id) => stateOf(jobFiles(root, id)),
    logs: (id, after) => readLog(jobFiles(root, id).log, after),

    async stop(id, signal) {
      const files = jobFiles(root, id);
      if (runningPid(files) === null && !isOrphaned(files)) return;
      await writeFile(files.stopping, '');
      for (const [ending, waitMs] of [
        ['SIGTERM', graceMs],
        ['SIGKILL', graceMs],
      ] as const) {
        const until = Date.now() + waitMs;
        killGroup(files, ending);
        while (groupLives(files) && Date.now() < until) await delay(LOOK_MS, undefined, { signal });
      }
    },
  };
}

/** The script's process id while that very process lives. */
function runningPid(files: JobFiles): number | null {
  const pid = pidOf(files);
  if (pid === null) return null;
  const born = readOrNull(files.born);
  return born !== null && birthOf(pid) === birthIn(born) ? pid : null;
}

/** The script is gone and members of its group live on: no other group has its number as long as they do. */
function isOrphaned(files: JobFiles): boolean {
  const pid = pidOf(files);
  return pid !== null && birthOf(pid) === null && groupLives(files);
}

function pidOf(files: JobFiles): number | null {
  const text = readOrNull(files.pid);
  return text === null ? null : Number(text.trim());
}

/** When a process began, as its system words it: ticks since the start, or a date. */
function birthOf(pid: number): string | null {
  const stat = readOrNull(`/proc/${pid}/stat`);
  if (stat !== null) return isDead(stat) ? null : birthIn(stat);
  const listed = spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], { env: { ...process.env, LC_ALL: 'C' } });
  return listed.status === 0 ? birthIn(listed.stdout.toString()) : null;
}

/** Field 22 of /proc/<pid>/stat, counted from behind the command's name, which may hold anything. */
function birthIn(text: string): string {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return text.includes(')') ? (fields[19] ?? '') : text.trim();
}

/** A child that nobody has waited for yet still has its entry. */
const isDead = (stat: string): boolean => /^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));

/** The script leads its group. */
function killGroup(files: JobFiles, ending: NodeJS.Signals): void {
  const pid = pidOf(files);
  try {
    if (pid !== null) process.kill(-pid, ending);
  } catch {
    // There is none any more.
  }
}

/** Whether a member of the job's group still runs; those that only wait to be noticed by their parent do not. */
function groupLives(files: JobFiles): boolean {
  const pid = pidOf(files);
  return pid !== null && statesByGroup().some(([group, state]) => group === pid && !/^[ZX]/.test(state));
}

/** Group and state of every process. */
function statesByGroup(): [group: number, state: string][] {
  if (existsSync('/proc/self/stat'))
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .flatMap((name) => {
        const stat = readOrNull(`/proc/${name}/stat`);
        const [state = '', , group] = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? [];
        return group === undefined ? [] : [[Number(group), state] as [number, string]];
      });
  const listed = spawnSync('ps', ['-A', '-o', 'pgid=,state=']).stdout?.toString() ?? '';
  return listed.split('\n').map((line) => {
    const [group = '', state = ''] = line.trim().split(/\s+/);
    return [Number(group), state];
  });
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
