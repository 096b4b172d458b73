import type { ArmMetrics, Metrics } from './metrics.ts';
import { type MlflowApi, type MlflowOptions, MlflowRefusal, mlflowApi } from './mlflow-api.ts';

/** Bounds of `runs/log-batch`, and of one answer of `metrics/get-history`. */
const METRICS_A_CALL = 1000;
const PARAMS_A_CALL = 100;
const HISTORY_PAGE = '10000';
/** What servers of every version take as a parameter's value. */
const PARAM_LENGTH = 500;

export interface MlflowReport {
  experiment: string;
  /** How many points were sent: those that the run did not have. */
  runs: { arm: string; runId: string; logged: number }[];
}

/**
 * Sends each arm's curves to a run of MLflow, found again by its tags: sending twice is sending once. An arm whose
 * content key differs (another configuration under the same name) is another run.
 */
export async function sendToMlflow(
  { run, arms }: Metrics,
  { experiment, ...options }: MlflowOptions & { experiment: string },
): Promise<MlflowReport> {
  const api = mlflowApi(options);
  const experimentId = await findExperiment(api, experiment);
  const runs: MlflowReport['runs'] = [];
  for (const arm of arms) {
    const tags = { 'astroflow.run': run, 'astroflow.arm': arm.arm, 'astroflow.key': arm.key };
    const { runId, isNew } = await findRun(api, experimentId, `${run}-${arm.arm}`, tags);
    const logged = await logMetrics(api, runId, arm, isNew);
    await logParams(api, runId, arm);
    const status = arm.finished ? 'FINISHED' : 'RUNNING';
    await api.post('runs/update', { run_id: runId, status, ...(arm.finished && { end_time: lastTime(arm) }) });
    runs.push({ arm: arm.arm, runId, logged });
  }
  return { experiment, runs };
}

async function findExperiment(api: MlflowApi, name: string): Promise<string> {
  const find = async (): Promise<string | null> => {
    try {
      const query = { experiment_name: name };
      const { experiment } = await api.get<{ experiment: Experiment }>('experiments/get-by-name', query);
      return experiment.experiment_id;
    } catch (error) {
      if (error instanceof MlflowRefusal && error.code === 'RESOURCE_DOES_NOT_EXIST') return null;
      throw error;
    }
  };
  return api.findOrMake(
    find,
    'experiments/create',
    () => ({ name }),
    (made: Experiment) => made.experiment_id,
  );
}

interface Experiment {
  experiment_id: string;
}

interface Run {
  info: { run_id: string };
}

async function findRun(
  api: MlflowApi,
  experimentId: string,
  name: string,
  tags: Record<string, string>,
): Promise<{ runId: string; isNew: boolean }> {
  const filter = Object.entries(tags)
    .map(([key, value]) => `tags.\`${key}\` = '${value}'`)
    .join(' and ');
  const find = async () => {
    const search = { experiment_ids: [experimentId], filter, max_results: 1 };
    const { runs = [] } = await api.post<{ runs?: Run[] }>('runs/search', search);
    return runs[0] === undefined ? null : { runId: runs[0].info.run_id, isNew: false };
  };
  const body = () => ({
    experiment_id: experimentId,
    run_name: name,
    start_time: Date.now(),
    tags: Object.entries(tags).map(([key, value]) => ({ key, value })),
  });
  return api.findOrMake(find, 'runs/create', body, ({ run }: { run: Run }) => ({
    runId: run.info.run_id,
    isNew: true,
  }));
}

/** Sends the points that the run does not have. */
async function logMetrics(api: MlflowApi, runId: string, { series }: ArmMetrics, isNew: boolean): Promise<number> {
  const metrics: { key: string; value: number; timestamp: number; step: number }[] = [];
  for (const [key, points] of Object.entries(series)) {
    const known = isNew ? new Set<string>() : await knownPoints(api, runId, key);
    for (const { step, value, timeMs } of points)
      if (!known.has(`${step} ${value}`)) metrics.push({ key, value, timestamp: Math.round(timeMs), step });
  }
  for (let first = 0; first < metrics.length; first += METRICS_A_CALL)
    await api.post('runs/log-batch', { run_id: runId, metrics: metrics.slice(first, first + METRICS_A_CALL) });
  return metrics.length;
}

async function knownPoints(api: MlflowApi, runId: string, key: string): Promise<Set<string>> {
  const known = new Set<string>();
  for (let token = ''; ; ) {
    const page = await api.get<{ metrics?: { step: number | string; value: number }[]; next_page_token?: string }>(
      'metrics/get-history',
      { run_id: runId, metric_key: key, max_results: HISTORY_PAGE, ...(token && { page_token: token }) },
    );
    for (const { step, value } of page.metrics ?? []) known.add(`${Number(step)} ${value}`);
    token = page.next_page_token ?? '';
    if (token === '') return known;
  }
}

async function logParams(api: MlflowApi, runId: string, { params }: ArmMetrics): Promise<void> {
  const all = Object.entries(params).map(([key, value]) => ({ key, value: String(value).slice(0, PARAM_LENGTH) }));
  for (let first = 0; first < all.length; first += PARAMS_A_CALL)
    await api.post('runs/log-batch', { run_id: runId, params: all.slice(first, first + PARAMS_A_CALL) });
}

function lastTime({ series }: ArmMetrics): number {
  const times = Object.values(series).flatMap((points) => points.map(({ timeMs }) => timeMs));
  return Math.round(Math.max(0, ...times));
}
