import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { jobTrainer } from '../../src/config/job-schema.ts';
import { checkJobTrainer } from '../../src/services/check/job.ts';
import { rayDouble } from '../support/ray-double.ts';

const slurmCommands = fileURLToPath(new URL('../fixtures/slurm', import.meta.url));
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'astroflow-check-'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

/** What is found of each thing that is looked at. */
async function found(change: object, env: NodeJS.ProcessEnv = {}): Promise<Record<string, string>> {
  const config = jobTrainer.parse({ kind: 'job', recipe: { kind: 'trl' }, folder, ...change });
  const rows = await checkJobTrainer(config, env, 5_000);
  return Object.fromEntries(
    rows.map(({ what, effect, state, found, means }) => [
      what,
      [effect ?? state, found, means].filter(Boolean).join(': '),
    ]),
  );
}
/** An interpreter in which every package has this version. */
function pythonWith(version: string): string {
  const path = join(folder, 'python');
  writeFileSync(path, `#!/bin/sh\necho ${version}\n`, { mode: 0o755 });
  return path;
}

describe('a check of a trainer that runs jobs', () => {
  it('finds folder, launcher and package on this machine', async () => {
    expect(await found({ recipe: { kind: 'trl', python: pythonWith('1.16.0') } })).toEqual({
      folder: `yes: ${folder}`,
      launcher: 'yes: process',
      recipe: 'yes: trl 1.16.0',
    });
  });

  it('says what is wrong with the folder and the package', async () => {
    const relative = await found({ folder: 'jobs', recipe: { kind: 'verl', python: '/no/python' } });
    expect(relative.folder).toBe('stops: jobs: policy.trainer.folder must be absolute');
    expect(relative.recipe).toMatch(/^stops: verl: \/no\/python cannot find it: /);
    writeFileSync(join(folder, 'file'), '');
    expect((await found({ folder: join(folder, 'file/below') })).folder).toMatch(/^stops: .*cannot be written/);
    const python = join(folder, 'python');
    writeFileSync(
      python,
      '#!/bin/sh\necho "Traceback" >&2\necho "No package metadata was found for trl" >&2\nexit 1\n',
      {
        mode: 0o755,
      },
    );
    expect((await found({ recipe: { kind: 'trl', python } })).recipe).toBe(
      `stops: trl: ${python} cannot find it: No package metadata was found for trl`,
    );
  });

  it('looks for the checkout that NeMo-RL is run from', async () => {
    const recipe = { kind: 'nemo-rl', python: pythonWith('0.6.0'), checkout: join(folder, 'NeMo-RL') };
    expect((await found({ recipe })).checkout).toMatch(/^stops: .*there is no .*NeMo-RL\/examples\/run_grpo\.py$/);
    mkdirSync(join(folder, 'NeMo-RL/examples'), { recursive: true });
    writeFileSync(join(folder, 'NeMo-RL/examples/run_grpo.py'), '');
    expect(await found({ recipe })).toMatchObject({
      recipe: 'yes: nemo-rl 0.6.0',
      checkout: `yes: ${recipe.checkout}`,
    });
  });

  it('asks a Ray cluster, whose token may be missing and whose jobs have the package', async () => {
    const ray = await rayDouble({ token: 'secret' });
    const launcher = { kind: 'ray' };
    const at = { RAY_API_SERVER_ADDRESS: ray.address };
    const token = { env: 'RAY_TOKEN' };
    expect(await found({ launcher: { ...launcher, token } }, { ...at, RAY_TOKEN: 'secret' })).toMatchObject({
      launcher: 'yes: ray',
      recipe: 'unknown: trl: its package is looked for by the job',
    });
    expect((await found({ launcher }, at)).launcher).toMatch(/^stops: answered 401: .*launcher\.token/);
    await ray.close();
    expect((await found({ launcher }, at)).launcher).toMatch(/^stops: no answer: .*ECONNREFUSED/);
    expect((await found({ launcher })).launcher).toContain('RAY_API_SERVER_ADDRESS');
  });

  it('tries the commands of Slurm and its controller', async () => {
    vi.stubEnv('FAKE_SLURM', folder);
    const launcher = { kind: 'slurm' };
    vi.stubEnv('PATH', `${slurmCommands}${delimiter}${process.env.PATH}`);
    expect((await found({ launcher })).launcher).toBe('yes: slurm 25.11.0');
    writeFileSync(join(folder, 'down'), '');
    expect((await found({ launcher })).launcher).toMatch(
      /^stops: slurm: squeue failed: .*Unable to contact slurm controller/,
    );
    vi.stubEnv('PATH', folder);
    expect((await found({ launcher })).launcher).toBe(
      'stops: slurm: there is no sbatch on this PATH: start workers on a login node',
    );
  });
});
