import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Metrics } from './metrics.ts';
import { runPython } from './python.ts';

/** Runs of a few thousand points are written in seconds; wandb's own service takes as long to start. */
const DEADLINE_MS = 600_000;

export interface WandbOptions {
  /** A Python with wandb. */
  python: string;
  project: string;
  signal: AbortSignal;
}

/**
 * Writes one offline run an arm into a folder, grouped by the run's name, for `wandb sync`. The runs' ids follow
 * from their content, so that the same curves are the same run on the server however often they are written and sent.
 */
export async function writeWandb(
  { run, arms }: Metrics,
  { python, project, signal }: WandbOptions,
  folder: string,
): Promise<void> {
  const runs = arms.map(({ arm, key, series, params }) => ({
    id: `${run}-${arm}-${key}`.replace(/[^A-Za-z0-9._-]/g, '-').slice(-64),
    name: `${run}-${arm}`,
    group: run,
    config: params,
    rows: rowsOf(series),
  }));
  const input = { folder, project, runs };
  await runPython({ python, program: 'wandb_offline.py', packages: 'wandb', input, deadlineMs: DEADLINE_MS, signal });
  await keepRuns(folder);
}

/** wandb leaves links and logs beside and inside its runs, about this machine and not about the curves. */
async function keepRuns(folder: string): Promise<void> {
  const made = join(folder, 'wandb');
  for (const name of await readdir(made)) {
    if (!name.startsWith('offline-run-')) continue;
    for (const log of ['logs', 'tmp']) await rm(join(made, name, log), { recursive: true, force: true });
    await rename(join(made, name), join(folder, name));
  }
  await rm(made, { recursive: true });
}

/** wandb's rows: all values that one stage has at one of its steps, beside the step that they are drawn over. */
function rowsOf(series: Metrics['arms'][number]['series']): Record<string, number>[] {
  const rows = new Map<string, Record<string, number>>();
  for (const [name, points] of Object.entries(series)) {
    const stage = name.split('/')[0] as string;
    for (const { step, value } of points) {
      const at = `${stage} ${step}`;
      const row = rows.get(at) ?? { [`${stage}/step`]: step };
      row[name] = value;
      rows.set(at, row);
    }
  }
  return [...rows.values()];
}
