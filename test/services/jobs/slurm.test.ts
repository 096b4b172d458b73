import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { JobSpec } from '../../../src/services/jobs/jobs.ts';
import { slurmJobs } from '../../../src/services/jobs/slurm.ts';
import { until } from '../../support/watch.ts';
import { jobBackendContract } from './contract.ts';

/** Stand-ins of the three commands, which start the scripts for real. */
const commands = fileURLToPath(new URL('../../fixtures/slurm', import.meta.url));

const open = (root: string, options: Record<string, string | number> = {}) =>
  slurmJobs(root, { options, timeoutMs: 20_000, sleep: () => setImmediate() });

beforeEach(() => {
  vi.stubEnv('PATH', `${commands}${delimiter}${process.env.PATH}`);
});
afterEach(() => vi.unstubAllEnvs());

jobBackendContract('a Slurm cluster', async (root) => {
  vi.stubEnv('FAKE_SLURM', root);
  return { backend: open(root), close: async () => {} };
});

describe('a job of a Slurm cluster', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'astroflow-slurm-'));
    vi.stubEnv('FAKE_SLURM', folder);
  });
  // A job's script may still be writing its last files.
  afterEach(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));

  const { signal } = new AbortController();
  const spec = (): JobSpec => ({ id: 'job-1', command: ['true'], env: {}, folder, resources: { cpus: 3.5, gpus: 8 } });
  const fake = (file: string, text = '') => writeFileSync(join(folder, file), text);

  it('carries its resources and the options of the configuration, which win', async () => {
    await open(folder, { partition: 'gpu', time: '24:00:00', gpus: 4 }).submit(spec(), signal);
    const script = readFileSync(join(folder, 'submitted'), 'utf8');
    const directives = script.split('\n').filter((line) => line.startsWith('#SBATCH'));
    expect(directives).toEqual([
      '#SBATCH --cpus-per-task=4',
      '#SBATCH --gpus=4',
      '#SBATCH --partition=gpu',
      '#SBATCH --time=24:00:00',
      '#SBATCH --job-name=job-1',
      `#SBATCH --chdir=${folder}`,
      '#SBATCH --output=/dev/null',
      '#SBATCH --no-requeue',
    ]);
  });

  it('waits in the queue, and is gone from it without a trace when it is cancelled there', async () => {
    fake('full');
    const jobs = open(folder);
    await jobs.submit(spec(), signal);
    expect(await jobs.get('job-1', signal)).toMatchObject({ status: 'pending', message: 'PENDING' });
    await jobs.stop('job-1', signal);
    expect(await jobs.get('job-1', signal)).toMatchObject({ status: 'stopped' });
    expect(existsSync(join(folder, '.jobs/job-1/started'))).toBe(false);
  });

  it('that the cluster lost while it waited may be started again', async () => {
    fake('full');
    const jobs = open(folder);
    await jobs.submit(spec(), signal);
    rmSync(join(folder, 'job-1.job'));
    expect(await jobs.get('job-1', signal)).toMatchObject({ status: 'failed', cause: 'infrastructure' });
  });

  it('is not started by a refused submission, whose words are passed on', async () => {
    fake('refuse', 'sbatch: error: invalid partition specified: gpuu');
    const jobs = open(folder);
    await expect(jobs.submit(spec(), signal)).rejects.toMatchObject({
      kind: 'fatal',
      message: expect.stringContaining('invalid partition specified: gpuu'),
    });
    expect(await jobs.get('job-1', signal)).toBeNull();
  });

  it('is unknown for a while, not lost, when the controller does not answer', async () => {
    fake('full');
    const jobs = open(folder);
    await jobs.submit(spec(), signal);
    fake('down');
    await expect(jobs.get('job-1', signal)).rejects.toMatchObject({ kind: 'retryable' });
  });

  it('is known by its files when the queue has forgotten it', async () => {
    const jobs = open(folder);
    const program = "setInterval(() => { if (require('node:fs').existsSync('go')) process.exit(0) }, 20)";
    await jobs.submit({ ...spec(), command: [process.execPath, '-e', program] }, signal);
    expect(await jobs.get('job-1', signal)).toMatchObject({ status: 'running', message: 'RUNNING' });
    fake('go');
    await until(async () => (await jobs.get('job-1', signal))?.status === 'succeeded');
    rmSync(join(folder, 'job-1.job'));
    fake('down');
    expect(await jobs.get('job-1', signal)).toMatchObject({ status: 'succeeded', exitCode: 0 });
  });

  it('is not submitted while the controller is away, and is once it is back', async () => {
    fake('down');
    const jobs = open(folder);
    for (const _ of ['first', 'again'])
      await expect(jobs.submit(spec(), signal)).rejects.toMatchObject({ kind: 'retryable' });
    expect(existsSync(join(folder, 'submitted'))).toBe(false);
    rmSync(join(folder, 'down'));
    await jobs.submit(spec(), signal);
    await until(async () => (await jobs.get('job-1', signal))?.status === 'succeeded');
  });

  it('was accepted when only the answer was lost, and runs once', async () => {
    fake('lose');
    const jobs = open(folder);
    const once = { ...spec(), command: ['/bin/sh', '-c', 'echo x >> runs'] };
    await expect(jobs.submit(once, signal)).rejects.toMatchObject({ kind: 'retryable' });
    rmSync(join(folder, 'lose'));
    await jobs.submit(once, signal);
    await until(async () => (await jobs.get('job-1', signal))?.status === 'succeeded');
    expect(readFileSync(join(folder, 'runs'), 'utf8')).toBe('x\n');
  });

  it('that ran on a node that went down was taken from it', async () => {
    const jobs = open(folder);
    await jobs.submit({ ...spec(), command: ['sleep', '600'] }, signal);
    await until(async () => existsSync(join(folder, '.jobs/job-1/pid')));
    process.kill(-Number(readFileSync(join(folder, 'job-1.job'), 'utf8')), 'SIGKILL');
    await until(async () => (await jobs.get('job-1', signal))?.status === 'failed');
    expect(await jobs.get('job-1', signal)).toMatchObject({ cause: 'infrastructure', exitCode: null });
  });

  it('needs the commands, and says so', async () => {
    vi.stubEnv('PATH', folder);
    await expect(open(folder).submit(spec(), signal)).rejects.toMatchObject({
      kind: 'fatal',
      message: expect.stringContaining('there is no sbatch on this worker'),
    });
  });
});
