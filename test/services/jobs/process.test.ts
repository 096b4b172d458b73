import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { processJobs } from '../../../src/services/jobs/process.ts';
import { until } from '../../support/watch.ts';
import { jobBackendContract } from './contract.ts';

jobBackendContract('this machine', async (root) => ({ backend: processJobs(root), close: async () => {} }));

describe('a job on this machine', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'astroflow-jobs-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const { signal } = new AbortController();
  const stateFile = (name: string) => join(folder, '.jobs', 'job-1', name);
  const pidIn = (file: string) => Number(readFileSync(file, 'utf8').trim());

  async function startForEver(): Promise<void> {
    const program = "require('node:fs').writeFileSync('pid', String(process.pid)); setInterval(() => {}, 1000)";
    const command = [process.execPath, '-e', program];
    await processJobs(folder).submit({ id: 'job-1', command, env: {}, folder, resources: {} }, signal);
    await until(async () => existsSync(join(folder, 'pid')) && readFileSync(join(folder, 'pid'), 'utf8') !== '');
  }

  it('is found by another worker', async () => {
    await startForEver();
    const other = processJobs(folder);
    expect(await other.get('job-1', signal)).toMatchObject({ status: 'running' });
    await other.stop('job-1', signal);
    expect(await other.get('job-1', signal)).toMatchObject({ status: 'stopped' });
  });

  it('goes on when only its script was killed, and was taken from the machine when both were', async () => {
    await startForEver();
    const jobs = processJobs(folder);
    process.kill(pidIn(stateFile('pid')), 'SIGKILL');
    await until(async () => (await jobs.get('job-1', signal))?.message === 'its program goes on without the script');
    process.kill(pidIn(join(folder, 'pid')), 'SIGKILL');
    await until(async () => (await jobs.get('job-1', signal))?.status === 'failed');
    expect(await jobs.get('job-1', signal)).toMatchObject({ cause: 'infrastructure', exitCode: null });
  });

  it('is not mistaken for a later process with its number', async () => {
    await startForEver();
    const jobs = processJobs(folder);
    const born = readFileSync(stateFile('born'), 'utf8');
    writeFileSync(stateFile('born'), born.replace(/\d+/g, '7'));
    expect(await jobs.get('job-1', signal)).toMatchObject({ status: 'failed', cause: 'infrastructure' });
    writeFileSync(stateFile('born'), born);
    await jobs.stop('job-1', signal);
  });

  it('is killed where it does not end by itself', async () => {
    const program =
      "process.on('SIGTERM', () => {}); require('node:fs').writeFileSync('pid', '1'); setInterval(() => {}, 1000)";
    const jobs = processJobs(folder, { graceMs: 100 });
    const command = [process.execPath, '-e', program];
    await jobs.submit({ id: 'job-1', command, env: {}, folder, resources: {} }, signal);
    await until(async () => existsSync(join(folder, 'pid')));
    await jobs.stop('job-1', signal);
    expect(await jobs.get('job-1', signal)).toMatchObject({ status: 'stopped' });
  });
});
