import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ServiceError } from '../errors.ts';
import type { JobSpec, JobState } from './jobs.ts';
import { quote, shellCommand } from './shell.ts';

/**
 * A job as a shell script that keeps its own state in files, for launchers without a memory of jobs: it begins once,
 * whoever starts it, and leaves its exit code.
 */
export interface JobFiles {
  folder: string;
  script: string;
  /** Made by the script when it begins: the second to try gives up. */
  started: string;
  /** Process id of the script, and what tells it from a later process with the same id. */
  pid: string;
  born: string;
  log: string;
  exit: string;
  /** Somebody has asked the job to end. */
  stopping: string;
}

export function jobFiles(root: string, id: string): JobFiles {
  if (!/^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/.test(id))
    throw new ServiceError('fatal', `${JSON.stringify(id)} cannot be a job's id`, { service: 'jobs' });
  const folder = join(root, '.jobs', id);
  const names = ['script', 'started', 'pid', 'born', 'log', 'exit', 'stopping'] as const;
  return {
    folder,
    ...(Object.fromEntries(names.map((name) => [name, join(folder, name)])) as Omit<JobFiles, 'folder'>),
  };
}

/** @param head lines under the first one, such as a scheduler's directives */
export async function writeScript(files: JobFiles, spec: JobSpec, head: readonly string[] = []): Promise<void> {
  await mkdir(files.folder, { recursive: true });
  const text = [
    '#!/bin/sh',
    ...head,
    `cd ${quote(files.folder)} || exit 1`,
    'mkdir started 2>/dev/null || exit 0',
    '(cat "/proc/$$/stat" 2>/dev/null || LC_ALL=C ps -o lstart= -p "$$") > born',
    'echo "$$" > pid.new && mv pid.new pid',
    ...Object.entries(spec.env).map(([name, value]) => `export ${name}=${quote(value)}`),
    `(cd ${quote(spec.folder)} && exec ${shellCommand(spec.command)}) >> log 2>&1`,
    'echo "$?" > exit.new && mv exit.new exit',
    '',
  ].join('\n');
  // Another worker may be writing the same.
  const own = `${files.script}.${randomUUID()}`;
  await writeFile(own, text, { mode: 0o755 });
  await rename(own, files.script);
}

/** The state of a job that has left its exit code; null while there is none. */
export async function endState(files: JobFiles): Promise<JobState | null> {
  const text = await readFile(files.exit, 'utf8').catch(() => null);
  if (text === null) return null;
  const exitCode = Number(text.trim());
  if (exitCode === 0) return { status: 'succeeded', message: 'exit code 0', exitCode, cause: null };
  if (existsSync(files.stopping)) return stopped;
  return failed(exitCode);
}

export const stopped: JobState = { status: 'stopped', message: 'it was stopped', exitCode: null, cause: null };

/** 128 + 9 and 128 + 15 are what a shell reports of a program that was killed: by a person, by the system, for memory. */
export function failed(exitCode: number): JobState {
  const killed = exitCode === 137 || exitCode === 143;
  const message = killed ? `the program was killed (exit code ${exitCode})` : `exit code ${exitCode}`;
  return { status: 'failed', message, exitCode, cause: killed ? 'infrastructure' : 'program' };
}

/** Ended without a word: the machine went down, or somebody killed the script itself. */
export const vanished: JobState = {
  status: 'failed',
  message: 'it ended without an exit code: the machine was restarted, or the job was killed',
  exitCode: null,
  cause: 'infrastructure',
};

/** Most that one look at a log reads. */
const LOG_BYTES = 1 << 20;

export async function readLog(path: string, after: number): Promise<{ text: string; next: number }> {
  const file = await open(path).catch(() => null);
  if (file === null) return { text: '', next: after };
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(LOG_BYTES), 0, LOG_BYTES, after);
    return { text: buffer.toString('utf8', 0, bytesRead), next: after + bytesRead };
  } finally {
    await file.close();
  }
}
