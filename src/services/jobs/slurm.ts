import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ServiceError } from '../errors.ts';
import { endState, type JobFiles, jobFiles, readLog, stopped, vanished, writeScript } from './job-script.ts';
import type { JobBackend, JobSpec, JobState, JobStatus } from './jobs.ts';
import { quote } from './shell.ts';

const run = promisify(execFile);
const service = 'Slurm (policy.trainer.launcher)';

/** Until a job that was told to end has left the queue; Slurm's own grace (KillWait) is 30 s. */
const STOP_MS = 120_000;
const LOOK_MS = 1_000;
/** A file written on a node may be seen here a little later. */
const STORAGE_MS = 3_000;

export interface SlurmOptions {
  /** Long options of sbatch. */
  options: Readonly<Record<string, string | number>>;
  /** Of one command. */
  timeoutMs: number;
  /** Injectable for tests. */
  sleep?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

/**
 * Jobs of a Slurm cluster, by `sbatch`, `squeue` and `scancel` on this machine. A job's name is its id; what the queue
 * forgets, the script has left in files below `root`, which the nodes must share.
 */
export function slurmJobs(root: string, config: SlurmOptions): JobBackend {
  const { sleep = (ms, signal) => delay(ms, undefined, { signal }) } = config;

  async function command(name: string, args: string[], signal: AbortSignal): Promise<string> {
    try {
      return (await run(name, args, { timeout: config.timeoutMs, signal })).stdout.trim();
    } catch (error) {
      signal.throwIfAborted();
      const { code, stderr, message } = error as NodeJS.ErrnoException & { stderr?: string };
      if (code === 'ENOENT')
        throw new ServiceError('fatal', `there is no ${name} on this worker's PATH: run it on a login node`, {
          service,
        });
      // A controller that restarts answers again; what sbatch refuses it says in so many words.
      const refused = name === 'sbatch' && /invalid|not permitted|unrecognized|violates/i.test(stderr ?? '');
      throw new ServiceError(refused ? 'fatal' : 'retryable', `${name} failed: ${(stderr || message).trim()}`, {
        service,
      });
    }
  }

  /** Null where no job of the name waits or runs. */
  async function queued(id: string, signal: AbortSignal): Promise<string | null> {
    const lines = await command('squeue', ['--noheader', `--name=${id}`, '--format=%T'], signal);
    return lines.split('\n')[0]?.trim() || null;
  }

  async function stateOf(id: string, files: JobFiles, signal: AbortSignal): Promise<JobState | null> {
    if (!existsSync(files.script)) return null;
    const before = await endState(files);
    if (before !== null) return before;
    const state = await queued(id, signal);
    if (state !== null) return { status: statusOf(state), message: state, exitCode: null, cause: null };
    if (!existsSync(files.started) && !existsSync(files.pid)) {
      // It was never accepted, or was cancelled or lost while it waited.
      if (!existsSync(submitted(files))) return null;
      return existsSync(files.stopping) ? stopped : vanished;
    }
    await sleep(STORAGE_MS, signal);
    return (await endState(files)) ?? (existsSync(files.stopping) ? stopped : vanished);
  }

  return {
    async submit(spec, signal) {
      const files = jobFiles(root, spec.id);
      if ((await stateOf(spec.id, files, signal)) !== null) return;
      await writeScript(files, spec, directives(spec, config.options));
      const number = await command('sbatch', ['--parsable', files.script], signal);
      await writeFile(submitted(files), `${number}\n`);
    },

    get: (id, signal) => stateOf(id, jobFiles(root, id), signal),
    logs: (id, after) => readLog(jobFiles(root, id).log, after),

    async stop(id, signal) {
      const files = jobFiles(root, id);
      if (!existsSync(files.script) || (await endState(files)) !== null) return;
      await writeFile(files.stopping, '');
      await command('scancel', [`--name=${id}`], signal);
      for (let waited = 0; waited < STOP_MS && (await queued(id, signal)) !== null; waited += LOOK_MS)
        await sleep(LOOK_MS, signal);
    },
  };
}

const submitted = (files: JobFiles): string => `${files.folder}/slurm-number`;

/** `--no-requeue`: a script begins once, and we start the next job ourselves. */
function directives({ id, resources, folder }: JobSpec, options: SlurmOptions['options']): string[] {
  const all: Record<string, string | number> = {
    ...(resources.cpus !== undefined && { 'cpus-per-task': Math.ceil(resources.cpus) }),
    ...(resources.gpus !== undefined && { gpus: Math.ceil(resources.gpus) }),
    ...options,
    'job-name': id,
    chdir: folder,
    output: '/dev/null',
  };
  const lines = Object.entries(all).map(([name, value]) => `#SBATCH --${name}=${quote(String(value))}`);
  return [...lines, '#SBATCH --no-requeue'];
}

function statusOf(state: string): JobStatus {
  return state === 'PENDING' || state === 'CONFIGURING' ? 'pending' : 'running';
}
