import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { type ConfigDocument, runNameFor } from './config-file.ts';

/** Which run `demo` works on: kept, so that a later `demo` continues the same one. */
export interface DemoRun {
  run: string;
  salt: string;
  /** Of the configuration it was started with. */
  config: string;
}

/**
 * The run for a configuration: the one that the last `demo` of that name worked on, or with `fresh` a new one whose
 * salt makes every content key new, so that nothing is reused.
 */
export function chooseRun(
  previous: DemoRun | undefined,
  options: { document: ConfigDocument; path: string; fresh: boolean; nowMs: number },
): { chosen: DemoRun; changed: boolean } {
  const { document, path, fresh, nowMs } = options;
  const name = runNameFor(document, path, undefined);
  const config = createHash('sha256').update(JSON.stringify(document)).digest('hex');
  if (fresh) {
    const salt = new Date(nowMs)
      .toISOString()
      .replace(/[-:]|\.\d+Z$/g, '')
      .replace('T', '-');
    return { chosen: { run: `${name}-${salt}`, salt, config }, changed: false };
  }
  const salt = typeof document.salt === 'string' ? document.salt : '';
  if (previous === undefined) return { chosen: { run: name, salt, config }, changed: false };
  return { chosen: { ...previous, config }, changed: previous.config !== config };
}

export function readDemoRuns(file: string): Record<string, DemoRun> {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Record<string, DemoRun>;
  } catch {
    return {};
  }
}

export function writeDemoRuns(file: string, runs: Record<string, DemoRun>): void {
  writeFileSync(file, `${JSON.stringify(runs, null, 2)}\n`);
}
