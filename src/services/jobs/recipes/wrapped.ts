import type { PreparedJob } from './recipe.ts';
import { pythonFile } from './shared.ts';

/** What `astroflow_run.py` reads: see there. */
export interface Run {
  parquet: Record<string, string>;
  train: readonly string[];
  resumed: string | null;
  per_step?: number;
  step: string | null;
  begins?: string;
  total: number;
  latest: string;
  finish: readonly string[] | null;
}

/** A trainer's own command line, inside the program that tells its start, its steps and its end. */
export function wrapped(python: string, run: Run, files: PreparedJob['files']): PreparedJob {
  return {
    files: {
      ...files,
      'run.json': `${JSON.stringify(run, null, 2)}\n`,
      'astroflow_run.py': pythonFile('astroflow_run.py'),
    },
    command: [python, 'astroflow_run.py'],
    env: { TOKENIZERS_PARALLELISM: 'false', PYTHONUNBUFFERED: '1' },
  };
}
