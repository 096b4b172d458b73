import { once } from 'node:events';
import { createReadStream, existsSync, statSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { type Graded, gradeRow } from '../core/verify/index.ts';
import { CliError } from './errors.ts';

export interface GradeCommandOptions {
  strict?: boolean;
}

/** Longer lines are reported, not parsed: one must not fill the memory. */
const MAX_LINE = 64 * 1024 * 1024;

/**
 * `astroflow grade [FILE]`: JSON Lines in, the same lines with their verdicts out, counts at the end. A line that
 * cannot be graded is reported by its number and the rest goes on; the exit code is 1 then, else 0.
 */
export async function gradeCommand(file: string | undefined, options: GradeCommandOptions): Promise<number> {
  const input = file === undefined || file === '-' ? process.stdin : openFile(file);
  const counts = await gradeStream(input, process.stdout, process.stderr, options);
  return counts.bad > 0 ? 1 : 0;
}

export interface GradeCounts {
  true: number;
  false: number;
  unknown: number;
  extracted: number;
  empty: number;
  bad: number;
}

/** Grades a stream line by line; nothing but the current line is kept. Ends early when nobody reads the output. */
export async function gradeStream(
  input: Readable,
  output: Writable,
  messages: Writable,
  options: GradeCommandOptions,
): Promise<GradeCounts> {
  const counts: GradeCounts = { true: 0, false: 0, unknown: 0, extracted: 0, empty: 0, bad: 0 };
  let closed = false;
  const onError = (error: NodeJS.ErrnoException): void => {
    // `astroflow grade … | head`: the reader has what it wanted.
    if (error.code !== 'EPIPE') throw error;
    closed = true;
  };
  output.on('error', onError);
  let number = 0;
  let failure: NodeJS.ErrnoException | null = null;
  input.once('error', (error: NodeJS.ErrnoException) => {
    failure = error;
  });
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  for await (const line of lines) {
    number += 1;
    const text = number === 1 ? line.replace(/^\uFEFF/, '') : line;
    if (text.trim() === '') continue;
    const result = gradeText(text, options);
    if (result.kind === 'bad') {
      counts.bad += 1;
      messages.write(`line ${number}: ${result.message}\n`);
      continue;
    }
    count(counts, result);
    if (closed) break;
    if (!output.write(`${JSON.stringify(result.row)}\n`) && !closed) {
      await drained(output);
    }
  }
  if (failure !== null) throw new CliError(`The input cannot be read: ${(failure as NodeJS.ErrnoException).message}`);
  messages.write(`${summary(counts)}\n`);
  output.off('error', onError);
  return counts;
}

/** Until more can be written, or nobody reads any more. No listener stays behind. */
async function drained(output: Writable): Promise<void> {
  const done = new AbortController();
  const events = [once(output, 'drain', { signal: done.signal }), once(output, 'close', { signal: done.signal })];
  await Promise.race(events).catch(() => undefined);
  done.abort();
  await Promise.allSettled(events);
}

/** One line with its time. @returns `bad` for what is not JSON or not a row */
function gradeText(line: string, options: GradeCommandOptions): Graded {
  if (line.length > MAX_LINE) return { kind: 'bad', message: `is longer than ${MAX_LINE} characters` };
  let row: unknown;
  try {
    row = JSON.parse(line);
  } catch (error) {
    return { kind: 'bad', message: `is not JSON (${error instanceof Error ? error.message : error})` };
  }
  const start = performance.now();
  const graded = gradeRow(row, options);
  if (graded.kind !== 'verdict') return graded;
  const ms = Math.round((performance.now() - start) * 1_000) / 1_000;
  return { ...graded, row: { ...graded.row, ms } };
}

function count(counts: GradeCounts, graded: Exclude<Graded, { kind: 'bad' }>): void {
  if (graded.kind === 'extract') counts[graded.found ? 'extracted' : 'empty'] += 1;
  else counts[`${graded.verdict}`] += 1;
}

function summary(counts: GradeCounts): string {
  const graded = counts.true + counts.false + counts.unknown;
  const parts = [`${graded} graded: ${counts.true} true, ${counts.false} false, ${counts.unknown} unknown`];
  if (counts.extracted + counts.empty > 0) {
    parts.push(`${counts.extracted + counts.empty} extractions, ${counts.empty} without an answer`);
  }
  if (counts.bad > 0) parts.push(`${counts.bad} bad line${counts.bad === 1 ? '' : 's'}`);
  return `${parts.join('; ')}.`;
}

function openFile(file: string): Readable {
  if (!existsSync(file)) throw new CliError(`There is no file ${file}.`);
  if (statSync(file).isDirectory()) throw new CliError(`${file} is a folder; grade takes a JSON Lines file.`);
  return createReadStream(file, 'utf8');
}
