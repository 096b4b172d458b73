import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JobSpec, JobState } from '../../src/services/jobs/jobs.ts';
import { plainRequest } from '../../src/services/jobs/plain-request.ts';
import { rayJobs } from '../../src/services/jobs/ray.ts';
import { jobBackendContract } from '../services/jobs/contract.ts';
import { isAlive } from '../support/processes.ts';
import { jobRuns } from '../workflows/job-runs.ts';
import { environment } from './environment.ts';
import { type RayCluster, startRay } from './ray-cluster.ts';

/** Jobs of a real Ray cluster of one node: the launcher's contract, and runs whose stages are jobs of it. */

const { python, missing } = environment('jobs');
/** Between two looks: Ray itself looks at a job's program ten times a second. */
const LOOK_MS = 200;

describe.skipIf(missing)('a real Ray cluster', () => {
  let ray: RayCluster;
  let folder: string;
  beforeAll(async () => {
    ray = await startRay(python);
    folder = mkdtempSync(join(tmpdir(), 'astroflow-ray-'));
  });
  afterAll(async () => {
    await ray?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const open = () => rayJobs({ connection: () => ({ address: ray.address, token: undefined }), timeoutMs: 60_000 });
  const { signal } = new AbortController();

  jobBackendContract('real Ray', async () => ({ backend: open(), lookMs: LOOK_MS, close: async () => {} }));
  jobRuns('real Ray', { launcher: () => ({ kind: 'ray', address: ray.address }), pollMs: LOOK_MS, lookMs: LOOK_MS });

  async function until(id: string, satisfies: (state: JobState) => boolean): Promise<JobState> {
    for (;;) {
      const state = await open().get(id, signal);
      if (state !== null && satisfies(state)) return state;
      await delay(LOOK_MS);
    }
  }
  const over = ({ status }: JobState) => status !== 'pending' && status !== 'running';
  /** Writes its process id and stays, whatever it is asked. */
  const stubborn = (id: string): JobSpec => ({
    id,
    command: [
      process.execPath,
      '-e',
      `process.on('SIGTERM', () => {}); require('node:fs').writeFileSync('${id}', String(process.pid)); setInterval(() => {}, 1000)`,
    ],
    env: {},
    folder,
    resources: {},
  });
  async function pidOf(id: string): Promise<number> {
    const file = join(folder, id);
    while (!existsSync(file) || readFileSync(file, 'utf8') === '') await delay(LOOK_MS);
    return Number(readFileSync(file, 'utf8'));
  }
  const submit = (body: object) =>
    plainRequest('POST', `${ray.address}/api/jobs/`, {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal,
    });

  it('answers a second job of an id with HTTP 500, and runs the first', async () => {
    const job = { submission_id: 'taken-1', entrypoint: 'true' };
    expect((await submit(job)).status).toBe(200);
    const second = await submit(job);
    expect(second.status).toBe(500);
    expect(second.text).toContain('already exists');
    expect(await until('taken-1', over)).toMatchObject({ status: 'succeeded' });
  });

  it('takes a program away that does not end when it is told to', async () => {
    await open().submit(stubborn('stubborn-1'), signal);
    const pid = await pidOf('stubborn-1');
    await open().stop('stubborn-1', signal);
    expect(await open().get('stubborn-1', signal)).toMatchObject({ status: 'stopped' });
    expect(isAlive(pid)).toBe(false);
  });

  it("names an environment that cannot be set up, and a supervisor that died, as the cluster's doing", async () => {
    await submit({
      submission_id: 'environment-1',
      entrypoint: 'true',
      runtime_env: { working_dir: 'gcs://_ray_pkg_that_nobody_uploaded.zip' },
    });
    await open().submit(stubborn('supervised-1'), signal);
    const pid = await pidOf('supervised-1');
    process.kill(supervisorOf(pid), 'SIGKILL');
    const [environment, supervised] = [await until('environment-1', over), await until('supervised-1', over)];
    expect(environment).toMatchObject({ status: 'failed', cause: 'infrastructure' });
    expect(environment.message).toContain('RUNTIME_ENV_SETUP_FAILURE');
    expect(supervised).toMatchObject({ status: 'failed', cause: 'infrastructure' });
    expect(supervised.message).toContain('JOB_SUPERVISOR_ACTOR_DIED');
    while (isAlive(pid)) await delay(LOOK_MS);
  });

  it('keeps a job waiting that asks for more than is free, and ends it, when it was stopped, as soon as it begins', async () => {
    const resources = { cpus: 2 };
    await open().submit({ ...stubborn('first-1'), resources }, signal);
    await pidOf('first-1');
    await open().submit({ ...stubborn('second-1'), resources }, signal);
    expect(await open().get('second-1', signal)).toMatchObject({ status: 'pending' });
    await open().stop('second-1', signal);
    await open().stop('first-1', signal);
    expect(await until('second-1', over)).toMatchObject({ status: 'stopped' });
  });

  it('gives a long log by its end', async () => {
    const program = `for (let line = 0; line < 150_000; line++) console.log('one line'); console.log('the last line')`;
    await open().submit({ ...stubborn('long-1'), command: [process.execPath, '-e', program] }, signal);
    await until('long-1', over);
    const whole = await open().logs('long-1', 0, signal);
    expect(whole.text.length).toBeGreaterThan(1 << 20);
    const end = await open().logs('long-1', whole.next, signal);
    expect(end).toEqual({ text: `${'one line\n'.repeat(199)}the last line\n`, next: whole.next });
  });
});

/** The process that started a job's program. */
function supervisorOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}
