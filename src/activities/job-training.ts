import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { artifactNames, type RlPlan, type SftPlan } from '../config/plan.ts';
import type { ArtifactRef } from '../core/artifact.ts';
import { type ChatRow, chatRow, promptRow } from '../core/chat-rows.ts';
import type { Checkpoint } from '../core/checkpoint.ts';
import type { Problem } from '../core/problem.ts';
import type { SftRow } from '../core/records.ts';
import { getTask } from '../core/tasks/index.ts';
import { ServiceError } from '../services/errors.ts';
import type { Jobs } from '../services/jobs/index.ts';
import type { JobState } from '../services/jobs/jobs.ts';
import type { RecipeInput } from '../services/jobs/recipes/recipe.ts';
import { type Attempt, attempt } from './boundary.ts';
import type { ActivityDeps } from './deps.ts';
import { failure } from './failures.ts';
import { createLoader, requireArtifact } from './load.ts';

/** What a stage's job made. */
export interface TrainedByJob {
  schema: 'astroflow.trained-by-job/1';
  checkpoint: Checkpoint;
  /** Id of the job that finished. */
  job: string;
  globalStep: number;
  /** The step that this job began with: 0, or where one before it was interrupted. */
  resumedFrom: number;
  metrics: Record<string, number>;
}

/** Jobs of one stage, one after the other: each goes on where the machine was taken from the one before it. */
const MAX_JOBS = 50;
const LOG_TAIL = 2_000;

/** Stages on trainers that take a whole stage as one job: launch, await, collect. */
export function createJobTrainingActivities(deps: ActivityDeps) {
  const { store } = deps;
  const lines = createLoader(store);

  return {
    /** @param input.failed jobs that ended in an error of their own and were answered with `retry` */
    fineTuneByJob: (input: { plan: SftPlan; failed: number }): Promise<TrainedByJob> =>
      attempt(async (at) => {
        const { plan } = input;
        const name = artifactNames.trained('sft', plan.key);
        const earlier = await store.find(name);
        if (earlier !== null) return store.getJson<TrainedByJob>(earlier);
        const { trainer } = plan.policy;
        const model = (trainer?.kind === 'job' && trainer.model) || plan.policy.base;
        const made = await trainInJobs(plan, 'sft', input.failed, at, async (shared) => ({
          ...shared,
          stage: 'sft',
          model,
          params: plan.params,
          rows: await chatRows(plan),
        }));
        return store.getJson<TrainedByJob>(await store.putJson(name, made));
      }),

    reinforceByJob: (input: {
      plan: RlPlan;
      prompts: ArtifactRef;
      checkpoint: Checkpoint;
      failed: number;
    }): Promise<TrainedByJob> =>
      attempt(async (at) => {
        const { plan, checkpoint } = input;
        const name = artifactNames.trained('rl', plan.key);
        const earlier = await store.find(name);
        if (earlier !== null) return store.getJson<TrainedByJob>(earlier);
        const { trainerState } = checkpoint;
        if (trainerState === null)
          throw failure('MissingInput', `checkpoint ${checkpoint.id} has no model: run "fineTune" first`);
        const task = getTask(plan.task);
        const made = await trainInJobs(plan, 'rl', input.failed, at, async (shared) => ({
          ...shared,
          stage: 'rl',
          model: trainerState,
          params: plan.params,
          rows: (await lines<Problem>(input.prompts)).map((problem) => promptRow(task, problem)),
        }));
        return store.getJson<TrainedByJob>(await store.putJson(name, made));
      }),
  };

  async function chatRows(plan: SftPlan): Promise<ChatRow[]> {
    if (plan.problems === undefined) throw failure('MissingInput', 'this plan was made for a trainer without jobs');
    const task = getTask(plan.task);
    const problems = new Map((await lines<Problem>(plan.problems)).map((problem) => [problem.id, problem]));
    const rows = await lines<SftRow>(
      await requireArtifact(store, artifactNames.rows(plan.linearizeKey, plan.arm), 'linearizeCorpus'),
    );
    if (rows.length === 0) {
      const funnel = store.locate(artifactNames.funnel(plan.linearizeKey));
      throw failure('MissingInput', `the ${plan.arm} arm has no rows: ${funnel} says what became of the trees`);
    }
    return rows.map((row) => {
      const problem = problems.get(row.problemId);
      if (problem === undefined) throw failure('MissingInput', `row of an unknown problem ${row.problemId}`);
      return chatRow(task, problem, row);
    });
  }

  async function trainInJobs(
    plan: SftPlan | RlPlan,
    stage: 'sft' | 'rl',
    failed: number,
    at: Attempt,
    inputOf: (shared: Pick<RecipeInput, 'folder' | 'seed' | 'task' | 'template'>) => Promise<RecipeInput>,
  ): Promise<TrainedByJob> {
    const { jobs } = deps.services(plan.policy);
    const { trainer } = plan.policy;
    if (jobs === null || trainer?.kind !== 'job')
      throw failure('MissingInput', 'policy.trainer is not a trainer that runs jobs');
    const root = jobs.folder();
    if (!isAbsolute(root)) throw failure('ServiceRefused', `policy.trainer.folder must be absolute, not ${root}`);
    const name = `${stage}-${plan.arm}-${plan.key}`;
    const folder = join(root, name);
    const { policy, seed, task } = plan;
    const input = await inputOf({ folder, seed, task, template: policy.template });

    const prefix = `astroflow-${name}`;
    const { id, state: before } = await newestJob(jobs, prefix, failed, at);
    at.onCancel(() => jobs.backend.stop(id, AbortSignal.timeout(120_000)));
    if (before === null) {
      const { files, command, env, asksRayForGpus } = jobs.recipe.prepare(input);
      const { gpus, ...others } = trainer.resources;
      const held = asksRayForGpus && trainer.launcher.kind === 'ray' ? others : { ...others, gpus };
      await writeFiles(folder, files);
      at.report({ phase: `start job ${id}` });
      await jobs.backend.submit({ id, command, env, folder, resources: defined(held) }, at.signal);
    }
    const state = await waitForJob(jobs, id, trainer, at);

    if (state.status !== 'succeeded') {
      const log = await tailOf(jobs, id, at.signal);
      // The program's last words first: what people are shown of a failure is its beginning.
      const words = [lastLine(log), state.message].filter(Boolean).join('; ');
      const message = `job ${id} ${state.status}: ${words}; its log ends with\n${log}`;
      // The next attempt finds this job ended and begins another, which goes on from the trainer's newest checkpoint.
      if (state.cause === 'program') throw failure('JobFailed', message);
      throw new ServiceError('retryable', message, { service: 'the training job' });
    }
    const trained = await jobs.recipe.collect(input);
    const { globalStep, resumedFrom, metrics } = trained;
    return {
      schema: 'astroflow.trained-by-job/1',
      checkpoint: {
        id: `${plan.key}/job-step-${String(globalStep).padStart(5, '0')}`,
        step: globalStep,
        base: plan.policy.base,
        trainerState: trained.model,
      },
      job: id,
      globalStep,
      resumedFrom,
      metrics: { ...metrics },
    };
  }
}

/**
 * The stage's job to wait for, or to begin (`state` null). Ids are counted; one is passed over when its job was stopped,
 * when the machine was taken from it, or when it failed by itself and a person has said to try again.
 */
async function newestJob(
  { backend }: Jobs,
  prefix: string,
  forgiven: number,
  at: Attempt,
): Promise<{ id: string; state: JobState | null }> {
  let failures = 0;
  for (let number = 1; number <= MAX_JOBS; number++) {
    const id = `${prefix}-${number}`;
    const state = await backend.get(id, at.signal);
    if (state === null || state.status === 'pending' || state.status === 'running' || state.status === 'succeeded')
      return { id, state };
    if (state.cause === 'program') failures += 1;
    if (failures > forgiven) return { id, state };
  }
  throw failure('JobFailed', `${MAX_JOBS} jobs named ${prefix}-… have ended without a model; look at their logs`);
}

async function waitForJob(
  { backend, recipe }: Jobs,
  id: string,
  { pollMs, maxHours }: { pollMs: number; maxHours: number },
  at: Attempt,
): Promise<JobState> {
  const until = Date.now() + maxHours * 3_600_000;
  let after = 0;
  let tail = '';
  for (;;) {
    const state = await backend.get(id, at.signal);
    if (state === null) throw new ServiceError('retryable', `job ${id} is gone`, { service: 'the training job' });
    if (state.status !== 'pending' && state.status !== 'running') return state;
    if (Date.now() > until) {
      await backend.stop(id, at.signal);
      throw failure('JobFailed', `job ${id} was stopped after ${maxHours} hours (policy.trainer.maxHours)`);
    }
    const { text, next } = await backend.logs(id, after, at.signal);
    after = next;
    tail = (tail + text).slice(-LOG_TAIL);
    at.report({ phase: `job ${id} ${state.status}: ${lastLine(tail)}`, ...recipe.progress?.(tail) });
    await delay(pollMs, undefined, { signal: at.signal });
  }
}

/** For people: that the machine with the log is gone must not hide why the job ended. */
async function tailOf({ backend }: Jobs, id: string, signal: AbortSignal): Promise<string> {
  let tail = '';
  try {
    for (let after = 0; ; ) {
      const { text, next } = await backend.logs(id, after, signal);
      tail = (tail + text).slice(-LOG_TAIL);
      if (next === after) return tail.trim();
      after = next;
    }
  } catch (error) {
    signal.throwIfAborted();
    return `${tail.trim()}\n(the rest cannot be read: ${(error as Error).message})`;
  }
}

/** A file that is there already stays: a job may be reading it. */
async function writeFiles(folder: string, files: Readonly<Record<string, string | Uint8Array>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    await mkdir(join(path, '..'), { recursive: true });
    const before = await readFile(path).catch(() => null);
    if (before?.equals(Buffer.from(content as string))) continue;
    const own = `${path}.${randomUUID()}`;
    await writeFile(own, content);
    await rename(own, path);
  }
}

const lastLine = (text: string): string =>
  text
    .trim()
    .split(/[\r\n]+/)
    .at(-1)
    ?.slice(0, 200) ?? '';

function defined<T extends object>(value: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as never;
}
