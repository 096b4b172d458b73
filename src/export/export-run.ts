import { join } from 'node:path';
import type { Plan } from '../config/plan.ts';
import type { Arm } from '../config/schema.ts';
import { ServiceError } from '../services/errors.ts';
import type { Services } from '../services/index.ts';
import { type ArtifactStore, CorruptArtifact, NewerArtifact } from '../services/store/store.ts';
import { checkpointNamed, newestCheckpoint } from './checkpoints.ts';
import { ExportError, type ExportFolder } from './folder.ts';
import { collectMetrics, type Metrics } from './metrics.ts';
import { sendToMlflow } from './mlflow.ts';
import { MlflowRefusal } from './mlflow-api.ts';
import { exportModel, type ModelOptions, type ModelPart } from './model.ts';
import { exportRows } from './rows.ts';
import { writeTensorboard } from './tensorboard.ts';
import { writeWandb } from './wandb.ts';

export type Tracker = 'tensorboard' | 'wandb' | 'mlflow';
export const trackers: readonly Tracker[] = ['tensorboard', 'wandb', 'mlflow'];

export interface ExportRequest {
  plan: Plan;
  arms: readonly Arm[];
  rows: boolean;
  model: boolean;
  metrics: readonly Tracker[];
  /** A checkpoint by name instead of each arm's newest. */
  checkpoint?: string | undefined;
  /** An MLflow server's address. */
  mlflow?: string | undefined;
  /** MLflow's experiment and wandb's project. */
  project: string;
}

export interface ExportDeps extends Pick<ModelOptions, 'engineCheckpoints' | 'base' | 'merge' | 'python' | 'signal'> {
  store: ArtifactStore;
  services: Pick<Services, 'renderer' | 'trainer'>;
  folder: ExportFolder;
  env: NodeJS.ProcessEnv;
}

/** What became of one part of an export, for people. */
export interface Outcome {
  part: string;
  status: 'done' | 'unchanged' | 'missing' | 'failed';
  note: string;
}

/** Exports what is asked for, part by part: one that fails does not keep the others back. */
export async function exportRun(request: ExportRequest, deps: ExportDeps): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  async function attempt(part: string, work: () => Promise<Omit<Outcome, 'part'>[]>): Promise<void> {
    deps.signal.throwIfAborted();
    try {
      for (const outcome of await work()) outcomes.push({ part, ...outcome });
    } catch (error) {
      deps.signal.throwIfAborted();
      if (!isTold(error)) throw error;
      outcomes.push({ part, status: 'failed', note: error.message });
    }
  }
  if (request.rows) await attempt('rows', () => rows(request, deps));
  if (request.model) {
    const { plan, checkpoint } = request;
    if (checkpoint !== undefined) await attempt('models', () => model(request, deps, checkpoint));
    else
      for (const arm of plan.arms.filter((one) => request.arms.includes(one)))
        await attempt(`models (${arm})`, () => model(request, deps, null, arm));
  }
  if (request.metrics.length > 0) {
    const metrics = await collectMetrics(deps.store, request.plan, request.arms, Date.now());
    for (const tracker of request.metrics)
      await attempt(`metrics/${tracker}`, () => track(tracker, metrics, request, deps));
    for (const note of metrics.missing) outcomes.push({ part: 'metrics', status: 'missing', note });
  }
  return outcomes;
}

/** Errors that say themselves what to do. */
const isTold = (error: unknown): error is Error =>
  [ExportError, ServiceError, MlflowRefusal, CorruptArtifact, NewerArtifact].some((kind) => error instanceof kind);

async function rows({ plan, arms }: ExportRequest, { store, services, folder, signal }: ExportDeps) {
  const part = await folder.replace('rows', (into) =>
    exportRows(plan, arms, { store, renderer: services.renderer, signal }, into),
  );
  const { sets, missing } = part as Awaited<ReturnType<typeof exportRows>>;
  const done = sets.map(({ name, rows }) => ({
    status: 'done' as const,
    note: `${name}: ${rows.toLocaleString('en')} rows`,
  }));
  return [...done, ...missing.map((note) => ({ status: 'missing' as const, note }))];
}

async function model({ plan }: ExportRequest, deps: ExportDeps, name: string | null, arm?: Arm) {
  const { store, services, folder } = deps;
  const found =
    name === null ? await newestCheckpoint(store, plan, arm as Arm) : await checkpointNamed(store, plan, name);
  if (found === null) {
    const never = plan.search.policy.trainer === null ? ', for policy.trainer is null: nothing is trained' : ' yet';
    return [{ status: 'missing' as const, note: `the ${arm} arm has no checkpoint${never}` }];
  }
  const part = `models/${found.name}`;
  const options = { ...deps, trainer: services.trainer };
  const earlier = folder.part(part) as ModelPart | undefined;
  // Weights of one checkpoint never change, and may be hundreds of gigabytes.
  const fits = earlier?.kind === 'model' || earlier?.kind === (deps.merge ? 'merged' : 'adapter');
  const same = fits && earlier.checkpoint === found.checkpoint.id && deps.base === undefined;
  const made = same
    ? earlier
    : ((await folder.replace(part, (into) => exportModel(plan, found, options, into))) as ModelPart);
  const kind = { model: 'all weights', adapter: 'a PEFT adapter', merged: 'an adapter merged into its base' }[
    made.kind
  ];
  const way = found.final ? '' : '; the training goes on behind it';
  return [
    { status: same ? ('unchanged' as const) : ('done' as const), note: `${join(folder.path, part)}: ${kind}${way}` },
  ];
}

async function track(tracker: Tracker, all: Metrics, { mlflow, project }: ExportRequest, deps: ExportDeps) {
  const { folder, env, python, signal } = deps;
  const metrics = { ...all, arms: all.arms.filter(({ series }) => Object.keys(series).length > 0) };
  const points = metrics.arms.flatMap(({ series }) => Object.values(series).flat()).length;
  if (points === 0) return [{ status: 'missing' as const, note: 'nothing is measured yet' }];
  if (tracker === 'mlflow') {
    const url = mlflow ?? env.MLFLOW_TRACKING_URI;
    if (!url) throw new ExportError('Which MLflow server? Pass --mlflow http://HOST:5000, or set MLFLOW_TRACKING_URI.');
    const { experiment, runs } = await sendToMlflow(metrics, { url, env, signal, experiment: project });
    const sent = runs.map(({ arm, runId, logged }) => `${arm} (run ${runId}): ${logged} new points`);
    return [{ status: 'done' as const, note: `experiment ${experiment}: ${sent.join(', ')}` }];
  }
  const part = `metrics/${tracker}`;
  await folder.replace(part, async (into) => {
    if (tracker === 'tensorboard') await writeTensorboard(metrics, into);
    else await writeWandb(metrics, { python, project, signal }, into);
    return { points };
  });
  const path = join(folder.path, part);
  const show = tracker === 'tensorboard' ? `tensorboard --logdir ${path}` : `wandb sync ${path}/offline-run-*`;
  return [{ status: 'done' as const, note: `${points.toLocaleString('en')} points; ${show}` }];
}
