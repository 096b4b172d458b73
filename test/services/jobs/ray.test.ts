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

  it('is still running while it is being stopped', async () => {
    ray = await rayDouble();
    const jobs = open(ray.address);
    await jobs.submit(spec, signal);
    await jobs.stop('job-1', signal);
    await until(async () => (await jobs.get('job-1', signal))?.status === 'stopped');
  });
});
