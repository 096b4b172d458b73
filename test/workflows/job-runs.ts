import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TrainedByJob } from '../../src/activities/job-training.ts';
import type { LauncherConfig } from '../../src/config/job-schema.ts';
import type { RunConfigInput } from '../../src/config/schema.ts';
import type { Progress } from '../../src/core/progress.ts';
import type { Jobs } from '../../src/services/jobs/index.ts';
import * as workflows from '../../src/workflows/index.ts';
import { scriptRecipe, startsIn } from '../support/job-recipe.ts';
import { type Pipeline, rootCause, scriptedPolicy, shortRun, startPipeline } from '../support/pipeline.ts';
import { isAlive } from '../support/processes.ts';

const { astroPipeline, evaluate, fineTune, linearizeCorpus, searchCorpus } = workflows;

export interface Place {
  /** Read when a test begins. */
  launcher(): LauncherConfig;
  /** Between two looks at a job, the worker's. */
  pollMs: number;
  /** Between two looks of the test. */
  lookMs: number;
}

/** What a run does whose stages are trained by jobs, wherever they run: with real jobs of a trainer in a few lines. */
export function jobRuns(name: string, { launcher, pollMs, lookMs }: Place): void {
  async function until(happened: () => boolean | Promise<boolean>): Promise<void> {
    while (!(await happened())) await delay(lookMs);
  }
  let pipeline: Pipeline;
  beforeAll(async () => {
    pipeline = await startPipeline();
  });
  afterAll(() => pipeline?.close());

  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'astroflow-jobs-'));
    return () => rm(folder, { recursive: true, force: true, maxRetries: 3 });
  });

  const jobs = (real: Jobs): Jobs => ({ ...real, recipe: scriptRecipe });

  /** Trained by jobs that are looked at often. */
  const jobRun = (salt: string, change: Partial<RunConfigInput> = {}): RunConfigInput => ({
    ...shortRun,
    salt,
    policy: {
      ...scriptedPolicy,
      trainer: { kind: 'job', launcher: launcher(), recipe: { kind: 'trl' }, folder, pollMs },
    },
    ...change,
  });

  /** What fine-tuning needs is there, and the job's folder is known before the job begins. */
  async function prepared(taskQueue: string, config: RunConfigInput): Promise<string> {
    for (const workflow of [searchCorpus, linearizeCorpus])
      await pipeline.client.workflow.execute(workflow, {
        workflowId: `${config.salt}-${workflow.name}`,
        taskQueue,
        args: [config],
      });
    return folder;
  }

  const jobFolder = async (stage: string): Promise<string> => {
    let name: string | undefined;
    await until(async () => {
      name = (await readdir(folder)).find((entry) => entry.startsWith(`${stage}-`));
      return name !== undefined && startsIn(join(folder, name)).length > 0;
    });
    return join(folder, name ?? '');
  };
  const start = (taskQueue: string, workflowId: string, config: RunConfigInput) =>
    pipeline.client.workflow.start(fineTune, { workflowId, taskQueue, args: [config] });
  const progressOf = (handle: WorkflowHandle) => handle.query<Progress>('progress').catch(() => null);

  describe(`a run whose stages are trained by jobs of ${name}`, () => {
    it('goes from search to scores: each stage begins with what the one before it made', async () => {
      const config = jobRun('whole', { rl: { search: { iterations: 3 } } });
      const { summary } = await pipeline.withWorkers(
        async (taskQueue) => {
          const running = await pipeline.client.workflow.start(astroPipeline, {
            workflowId: 'jobs-whole',
            taskQueue,
            args: [config],
          });
          for (const stage of ['sft', 'rl']) writeFileSync(join(await jobFolder(stage), 'open'), '');
          return running.result();
        },
        { jobs },
      );

      const [sft, rl] = [await jobFolder('sft'), await jobFolder('rl')];
      expect(JSON.parse(readFileSync(join(sft, 'model/config.json'), 'utf8'))).toMatchObject({
        grew_from: 'scripted-base',
      });
      expect(JSON.parse(readFileSync(join(rl, 'model/config.json'), 'utf8'))).toMatchObject({
        grew_from: join(sft, 'model'),
      });
      const { rows } = JSON.parse(readFileSync(join(sft, 'input.json'), 'utf8'));
      expect(rows[0]).toMatchObject({
        prompt: [{ role: 'user' }],
        completion: expect.stringContaining('Answer'),
        arm: 'search',
      });
      const report = JSON.parse(readFileSync(join(pipeline.folder, summary), 'utf8'));
      expect([...new Set(report.scores.map(({ checkpoint }: { checkpoint: string }) => checkpoint))]).toEqual([
        'base',
        'search-sft',
        'search-rl',
      ]);
    });

    it('starts no second job when its worker is replaced, and collects the one that went on', async () => {
      const config = jobRun('replaced');
      let handle: Awaited<ReturnType<typeof start>> | undefined;
      let job = '';
      await pipeline.withWorkers(
        async (taskQueue) => {
          await prepared(taskQueue, config);
          handle = await start(taskQueue, 'jobs-replaced', config);
          job = await jobFolder('sft');
          // The worker goes; the workflow's queue is served again below by another one.
        },
        { jobs },
      );
      appendFileSync(join(job, 'go'), 'xx');
      await until(() => existsSync(join(job, 'done.json')));
      const outcome = await pipeline.withWorkers(
        async () => handle?.result(),
        { jobs },
        handle && (await queueOf(handle)),
      );
      expect(outcome?.checkpoint).toMatchObject({ step: 2, trainerState: join(job, 'model') });
      expect(startsIn(job)).toHaveLength(1);
    });

    it('goes on from the newest checkpoint when the machine is taken from the job', async () => {
      const config = jobRun('taken', { sft: { search: { steps: 3, batchSize: 4, warmupSteps: 1 } } });
      await pipeline.withWorkers(
        async (taskQueue) => {
          await prepared(taskQueue, config);
          const handle = await start(taskQueue, 'jobs-taken', config);
          const job = await jobFolder('sft');
          appendFileSync(join(job, 'go'), 'x');
          await until(() => existsSync(join(job, 'checkpoint')));
          process.kill(startsIn(job)[0]?.pid ?? 0, 'SIGKILL');
          await until(() => startsIn(job).length === 2);
          writeFileSync(join(job, 'open'), '');
          const outcome = await handle.result();
          expect(startsIn(job).map(({ from }) => from)).toEqual([0, 1]);
          const trained = await storedJob(outcome.key);
          expect(trained).toMatchObject({ globalStep: 3, resumedFrom: 1, metrics: { loss: 0.5 } });
          expect(trained.job).toMatch(/-2$/);
        },
        { jobs },
      );
    });

    it('asks when the program fails, with the end of its log, and begins another job when told to', async () => {
      const config = jobRun('fails', { onFailure: 'ask' });
      await pipeline.withWorkers(
        async (taskQueue) => {
          await prepared(taskQueue, config);
          const handle = await start(taskQueue, 'jobs-fails', config);
          // Known before it runs: broken from its first start on.
          const job = await jobFolder('sft');
          writeFileSync(join(job, 'broken'), '');
          process.kill(startsIn(job)[0]?.pid ?? 0, 'SIGKILL');
          let why = '';
          await until(async () => {
            why = (await progressOf(handle))?.stages[0]?.attention?.why ?? '';
            return why !== '';
          });
          expect(why).toContain('JobFailed');
          expect(why).toContain('CUDA out of patience');
          rmSync(join(job, 'broken'));
          writeFileSync(join(job, 'open'), '');
          await handle.executeUpdate<void, [object]>('resolve', { args: [{ action: 'retry' }] });
          expect((await storedJob((await handle.result()).key)).job).toMatch(/-3$/);
        },
        { jobs },
      );
    });

    it('takes its job with it when a person cancels it', async () => {
      const config = jobRun('cancelled');
      await pipeline.withWorkers(
        async (taskQueue) => {
          await prepared(taskQueue, config);
          const handle = await start(taskQueue, 'jobs-cancelled', config);
          const job = await jobFolder('sft');
          await handle.cancel();
          await expect(handle.result()).rejects.toBeInstanceOf(WorkflowFailedError);
          const pid = startsIn(job)[0]?.pid ?? 0;
          await until(() => !isAlive(pid));
        },
        { jobs },
      );
    });

    it('refuses a folder that is not absolute before anything begins', async () => {
      const config = jobRun('relative', {
        policy: { ...scriptedPolicy, trainer: { kind: 'job', recipe: { kind: 'trl' }, folder: 'jobs' } },
      });
      await pipeline.withWorkers(
        async (taskQueue) => {
          await prepared(taskQueue, config);
          const failed = await pipeline.client.workflow
            .execute(fineTune, { workflowId: 'jobs-relative', taskQueue, args: [config] })
            .catch((error: unknown) => error);
          expect(rootCause(failed)).toMatchObject({
            type: 'ServiceRefused',
            message: expect.stringContaining('must be absolute'),
          });
        },
        { jobs },
      );
    });

    it('scores the model of a job without training it again', async () => {
      const config = jobRun('scored');
      await pipeline.withWorkers(
        async (taskQueue) => {
          await prepared(taskQueue, config);
          const handle = await start(taskQueue, 'jobs-scored', config);
          const job = await jobFolder('sft');
          writeFileSync(join(job, 'open'), '');
          await handle.result();
          await pipeline.client.workflow.execute(evaluate, {
            workflowId: 'jobs-scored-evaluate',
            taskQueue,
            args: [config],
          });
          expect(startsIn(job)).toHaveLength(1);
        },
        { jobs },
      );
    });
  });

  async function queueOf(handle: WorkflowHandle): Promise<string> {
    return (await handle.describe()).taskQueue;
  }

  async function storedJob(key: string): Promise<TrainedByJob> {
    const ref = await pipeline.store.find(`sft/${key}/trained.json`);
    return pipeline.store.getJson<TrainedByJob>(ref!);
  }
}
