import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Arm } from '../config/schema.ts';
import { exportRun, type Outcome, type Tracker } from '../export/export-run.ts';
import { ExportError, openFolder } from '../export/folder.ts';
import { engineVariable } from '../services/address.ts';
import { createServices } from '../services/index.ts';
import { openStore } from '../services/store/open.ts';
import { versions } from '../versions.ts';
import { CliError } from './errors.ts';
import type { Home } from './home.ts';
import { onInterrupt } from './interrupt.ts';
import { takeLock } from './lock.ts';
import { packageRoot } from './paths.ts';
import { readServerFile } from './server-file.ts';
import { storedPlan } from './stored-run.ts';

export interface ExportOptions {
  out?: string;
  rows?: boolean;
  model?: boolean;
  metrics?: Tracker[];
  arm?: Arm[];
  checkpoint?: string;
  merge?: boolean;
  base?: string;
  python?: string;
  mlflow?: string;
  project: string;
}

/** `astroflow export RUN`: 0 when something was there and nothing failed. */
export async function exportCommand(
  home: Home,
  env: NodeJS.ProcessEnv,
  run: string,
  options: ExportOptions,
): Promise<number> {
  const store = await openStore(home.artifacts);
  const plan = await storedPlan(store, run);
  const arms = plan.arms.filter((arm) => options.arm?.includes(arm) ?? true);
  if (arms.length === 0) throw new CliError(`The run ${plan.run} has only the arm ${plan.arms.join(', ')}.`);
  const modelToo = options.model || options.checkpoint !== undefined || options.merge || options.base !== undefined;
  const byDefault = !options.rows && !modelToo && options.metrics === undefined;
  const engineUrl = env[engineVariable] ?? readServerFile(home.server)?.engineUrl;
  const path = resolve(options.out ?? join(home.root, 'exports', plan.run));
  await mkdir(dirname(path), { recursive: true });
  const release = takeLock(`${path}.lock`, `export ${plan.run}`, 'Wait for it, or choose another --out.');
  const interrupt = onInterrupt(() => console.error('Stopping. What is whole stays.'));
  try {
    const folder = await openFolder(path, plan.run, (await versions()).astroflow ?? 'unknown');
    const venv = join(packageRoot, '.venv', 'bin', 'python');
    const outcomes = await exportRun(
      {
        plan,
        arms,
        rows: byDefault || options.rows === true,
        model: byDefault || modelToo === true,
        metrics: [...new Set(options.metrics)],
        checkpoint: options.checkpoint,
        mlflow: options.mlflow,
        project: options.project,
      },
      {
        store,
        services: createServices(
          plan.search.policy,
          engineUrl === undefined ? env : { ...env, [engineVariable]: engineUrl },
        ),
        folder,
        env,
        engineCheckpoints: join(home.engine, 'checkpoints'),
        base: options.base,
        merge: options.merge === true,
        python: options.python ?? (existsSync(venv) ? venv : 'python3'),
        signal: interrupt.signal,
      },
    );
    console.log(renderOutcomes(path, outcomes));
    const made = outcomes.some(({ status }) => status === 'done' || status === 'unchanged');
    return made && outcomes.every(({ status }) => status !== 'failed') ? 0 : 1;
  } catch (error) {
    if (interrupt.signal.aborted) return 130;
    throw error instanceof ExportError ? new CliError(error.message) : error;
  } finally {
    interrupt.dispose();
    release();
  }
}

const marks = { done: '✓', unchanged: '=', missing: '·', failed: '✗' };
const words = { done: '', unchanged: ' (there already)', missing: 'not there yet: ', failed: '' };

function renderOutcomes(path: string, outcomes: readonly Outcome[]): string {
  const width = Math.max(...outcomes.map(({ part }) => part.length));
  const lines = outcomes.map(({ part, status, note }) => {
    const text = status === 'unchanged' ? `${note}${words.unchanged}` : `${words[status]}${note}`;
    return `${marks[status]} ${part.padEnd(width)}  ${text}`;
  });
  return [`${path}`, ...lines].join('\n');
}
