import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import type { JobTrainerConfig, RecipeConfig } from '../../config/job-schema.ts';
import { resolveValue } from '../address.ts';
import { createJobs } from '../jobs/index.ts';
import { type CheckRow, createFindings, type Finding, stops, unknown, yes } from './finding.ts';

const run = promisify(execFile);

/** A trainer that runs jobs: its folder, its launcher, and where jobs run on this machine, the trainer's package. */
export async function checkJobTrainer(
  config: JobTrainerConfig,
  env: NodeJS.ProcessEnv,
  deadlineMs: number,
): Promise<CheckRow[]> {
  const findings = createFindings('trainer', deadlineMs);
  const { launcher, recipe } = config;
  await findings.probe('folder', async () => {
    const folder = resolveValue(config.folder, env, 'policy.trainer.folder');
    if (!isAbsolute(folder)) return stops(folder, 'policy.trainer.folder must be absolute');
    try {
      await mkdir(folder, { recursive: true });
      await access(folder, constants.W_OK);
      return yes(folder);
    } catch (error) {
      return stops(folder, `policy.trainer.folder cannot be written: ${(error as Error).message}`);
    }
  });
  await findings.probe('launcher', async (signal) => {
    if (launcher.kind === 'slurm') return slurm(signal);
    // No job has this name: only somebody who knows the jobs can say so.
    await createJobs(config, env).backend.get('astroflow-check', signal);
    return yes(launcher.kind);
  });
  if (launcher.kind !== 'process')
    findings.add('recipe', unknown(`${recipe.kind}: its package is looked for by the job`));
  else {
    await findings.probe('recipe', (signal) => installed(recipe, signal));
    if (recipe.kind === 'nemo-rl') await findings.probe('checkout', () => checkedOut(recipe.checkout));
  }
  return findings.rows;
}

/** The commands, and a controller that answers. */
async function slurm(signal: AbortSignal): Promise<Finding> {
  let version = '';
  for (const command of ['sbatch', 'squeue', 'scancel'])
    try {
      version = (await run(command, ['--version'], { signal })).stdout.trim();
    } catch {
      signal.throwIfAborted();
      return stops('slurm', `there is no ${command} on this PATH: start workers on a login node`);
    }
  try {
    await run('squeue', ['--noheader', '--name=astroflow-check'], { signal });
    return yes(version);
  } catch (error) {
    signal.throwIfAborted();
    return stops('slurm', `squeue failed: ${reason(error)}`);
  }
}

async function installed({ kind, python }: RecipeConfig, signal: AbortSignal): Promise<Finding> {
  const code = `from importlib.metadata import version; print(version("${kind}"))`;
  try {
    return yes(`${kind} ${(await run(python, ['-c', code], { signal })).stdout.trim()}`);
  } catch (error) {
    signal.throwIfAborted();
    return stops(kind, `${python} cannot find it: ${reason(error)}`);
  }
}

async function checkedOut(checkout: string): Promise<Finding> {
  const program = join(checkout, 'examples/run_grpo.py');
  return access(program).then(
    () => yes(checkout),
    () => stops(checkout, `policy.trainer.recipe.checkout must be a checkout of NeMo-RL: there is no ${program}`),
  );
}

/** The last thing that a command said. */
function reason(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message: string };
  return stderr?.trim().split('\n').at(-1) || message;
}
