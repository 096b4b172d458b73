import { setImmediate } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { JobSpec } from '../../../src/services/jobs/jobs.ts';
import { rayJobs } from '../../../src/services/jobs/ray.ts';
import { type RayDouble, rayDouble } from '../../support/ray-double.ts';
import { until } from '../../support/watch.ts';
import { jobBackendContract } from './contract.ts';

const open = (address: string, token?: string) =>
  rayJobs({ connection: () => ({ address, token }), timeoutMs: 5_000, sleep: () => setImmediate() });

jobBackendContract('a Ray cluster', async () => {
  const ray = await rayDouble();
  return { backend: open(ray.address), close: ray.close };
});

describe('a job of a Ray cluster', () => {
  let ray: RayDouble;
  afterEach(() => ray.close());
  const { signal } = new AbortController();
  const spec: JobSpec = {
    id: 'job-1',
    command: ['sleep', '600'],
    env: {},
    folder: '/',
    resources: { cpus: 2, gpus: 1 },
  };

  it('takes its resources from the cluster', async () => {
    ray = await rayDouble();
    await open(ray.address).submit(spec, signal);
    expect(ray.submissions).toMatchObject([
      { submission_id: 'job-1', entrypoint: 'cd / && exec sleep 600', entrypoint_num_cpus: 2, entrypoint_num_gpus: 1 },
    ]);
  });

  it('was submitted when the answer was lost on the way', async () => {
    ray = await rayDouble();
    ray.dropNextAnswer();
    const jobs = open(ray.address);
    await jobs.submit(spec, signal);
    expect(await jobs.get('job-1', signal)).toMatchObject({ status: 'running' });
    expect(ray.submissions).toHaveLength(1);
  });

  it.each(['RUNTIME_ENV_SETUP_FAILURE', 'JOB_SUPERVISOR_ACTOR_DIED', 'JOB_SUPERVISOR_ACTOR_START_TIMEOUT'])(
    'that ended by %s was taken from it by the cluster',
    async (type) => {
      ray = await rayDouble();
      const jobs = open(ray.address);
      await jobs.submit(spec, signal);
      ray.fail('job-1', type);
      expect(await jobs.get('job-1', signal)).toMatchObject({ status: 'failed', cause: 'infrastructure' });
      expect((await jobs.get('job-1', signal))?.message).toContain(type);
    },
  );

  it('that failed says so in a line, and leaves the rest to its log', async () => {
    ray = await rayDouble();
    const jobs = open(ray.address);
    await jobs.submit(spec, signal);
    const message = `Job entrypoint command failed with exit code 1, last available logs (truncated to 20,000 chars):\n${'x'.repeat(20_000)}`;
    ray.fail('job-1', 'JOB_ENTRYPOINT_COMMAND_ERROR', { message, driver_exit_code: 1 });
    expect(await jobs.get('job-1', signal)).toMatchObject({
      cause: 'program',
      message: 'JOB_ENTRYPOINT_COMMAND_ERROR: Job entrypoint command failed with exit code 1',
    });
  });

  it('is read from the beginning of its log, and where that is long, at the end', async () => {
    ray = await rayDouble();
    const jobs = open(ray.address);
    await jobs.submit({ ...spec, command: ['true'] }, signal);
    await until(async () => (await jobs.get('job-1', signal))?.status === 'succeeded');
    ray.write('job-1', `${'one line\n'.repeat(150_000)}the last line\n`);
    const whole = await jobs.logs('job-1', 0, signal);
    expect(whole.text.length).toBeGreaterThan(1 << 20);
    expect(await jobs.logs('job-1', whole.next, signal)).toEqual({
      text: `${'one line\n'.repeat(199)}the last line\n`,
      next: whole.next,
    });
  });

  it('is not started by an error that has no job behind it, whose reason is passed on', async () => {
    ray = await rayDouble();
    ray.refuse(
      'Traceback (most recent call last):\n  File "job_head.py"\nRuntimeError: Request failed with status code 500: No agent.\n.',
    );
    const jobs = open(ray.address);
    await expect(jobs.submit(spec, signal)).rejects.toMatchObject({
      kind: 'retryable',
      message: expect.stringContaining('RuntimeError: Request failed with status code 500: No agent.'),
    });
    expect(await jobs.get('job-1', signal)).toBeNull();
  });

  it('asks with a token where the cluster wants one, and says which setting is missing', async () => {
    ray = await rayDouble({ token: 'secret' });
    await expect(open(ray.address).get('job-1', signal)).rejects.toMatchObject({
      kind: 'fatal',
      message: expect.stringContaining('set policy.trainer.launcher.token'),
    });
    expect(await open(ray.address, 'secret').get('job-1', signal)).toBeNull();
  });

  it('waits for a cluster that is away', async () => {
    ray = await rayDouble();
    const { address } = ray;
    await ray.close();
    await expect(open(address).get('job-1', signal)).rejects.toMatchObject({
      kind: 'retryable',
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });

  it('is told again to stop where Ray could not tell it yet', async () => {
    ray = await rayDouble();
    ray.stopEarly();
    const jobs = open(ray.address);
    await jobs.submit(spec, signal);
    await jobs.stop('job-1', signal);
    expect(await jobs.get('job-1', signal)).toMatchObject({ status: 'stopped' });
  });

  it('is still running while it is being stopped', async () => {
    ray = await rayDouble();
    const jobs = open(ray.address);
    await jobs.submit(spec, signal);
    await jobs.stop('job-1', signal);
    await until(async () => (await jobs.get('job-1', signal))?.status === 'stopped');
  });
});
