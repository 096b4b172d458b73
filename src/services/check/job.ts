import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { promisify } from 'node:util';
import type { JobTrainerConfig } from '../../config/job-schema.ts';
import { resolveValue } from '../address.ts';
import { createJobs } from '../jobs/index.ts';
import { type CheckRow, createFindings, stops, unknown, yes } from './finding.ts';

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
    if (launcher.kind === 'slurm') {
      const { stdout } = await run('squeue', ['--version'], { signal }).catch(() => ({ stdout: '' }));
      return stdout === ''
        ? stops('slurm', 'there is no squeue on this PATH: start workers on a login node')
        : yes(stdout.trim());
    }
    // No job has this name: only somebody who knows the jobs can say so.
    await createJobs(config, env).backend.get('astroflow-check', signal);
    return yes(launcher.kind);
  });
  if (launcher.kind !== 'process')
    findings.add('recipe', unknown(`${recipe.kind}: its package is looked for by the job`));
  else
    await findings.probe('recipe', async (signal) => {
      const code = `from importlib.metadata import version; print(version("${recipe.kind}"))`;
      try {
        const { stdout } = await run(recipe.python, ['-c', code], { signal });
        return yes(`${recipe.kind} ${stdout.trim()}`);
      } catch (error) {
        signal.throwIfAborted();
        const said = (error as { stderr?: string; message: string }).stderr?.trim().split('\n').at(-1);
        return stops(recipe.kind, `${recipe.python} cannot find it: ${said || (error as Error).message}`);
      }
    });
  return findings.rows;
}
