import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ExportError } from './folder.ts';

/** A program of `python/`, and a Python that has the packages which it needs. */
export interface PythonCall {
  python: string;
  program: 'merge_adapter.py' | 'wandb_offline.py';
  /** What `pip install` is told where it lacks them. */
  packages: string;
  /** Its standard input, as JSON. */
  input: unknown;
  deadlineMs: number;
  signal: AbortSignal;
}

const TAIL = 2_000;
/** The program's own word for "a package is missing". */
const MISSING_PACKAGE = 3;

/** Runs a program to its end. @throws ExportError with the end of what it said; the signal's reason when it is aborted */
export async function runPython({ python, program, packages, input, deadlineMs, signal }: PythonCall): Promise<void> {
  const path = fileURLToPath(new URL(`./python/${program}`, import.meta.url));
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)]);
  const child = spawn(python, [path], { stdio: ['pipe', 'ignore', 'pipe'], signal: bounded, killSignal: 'SIGKILL' });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk).slice(-TAIL);
  });
  // A program that ends before it has read everything says so by its exit code.
  child.stdin.on('error', () => {});
  child.stdin.end(JSON.stringify(input));
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
  const failed = new Promise<never>((_, reject) => child.once('error', reject));
  const code = await Promise.race([closed, failed]).catch(async (error: NodeJS.ErrnoException) => {
    // One that was killed still holds its files for a moment.
    if (child.pid !== undefined) await closed;
    signal.throwIfAborted();
    if (bounded.aborted) throw new ExportError(`${program} took longer than ${deadlineMs / 1000} s:\n${said.trim()}`);
    if (error.code === 'ENOENT') throw new ExportError(`There is no Python ${python}: name another one with --python.`);
    throw error;
  });
  if (code === MISSING_PACKAGE)
    throw new ExportError(
      `${python} lacks a package that is needed here (${said.trim()}): \`${python} -m pip install ${packages}\`, or name ` +
        'a Python that has it with --python.',
    );
  if (code !== 0) throw new ExportError(`${program} failed (exit code ${code}):\n${said.trim()}`);
}
