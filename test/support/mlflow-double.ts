import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Metric {
  key: string;
  value: number;
  timestamp: number;
  step: number;
}

interface StoredRun {
  id: string;
  experiment: string;
  name: string;
  status: string;
  tags: Record<string, string>;
  params: Record<string, string>;
  metrics: Metric[];
}

/** As much of MLflow's REST API as an export needs, with MLflow's own bounds and refusals. */
export interface MlflowDouble {
  url: string;
  experiments: Map<string, string>;
  runs: StoredRun[];
  /** Paths that were called, and what each call's `authorization` was. */
  calls: { path: string; authorization: string | undefined }[];
  /** What becomes of the next calls: a status in place of the answer, `after` it was carried out or not. */
  faults: { path: string; status: number; after: boolean; retryAfter?: string }[];
  close(): Promise<void>;
}

export async function startMlflowDouble(): Promise<MlflowDouble> {
  const experiments = new Map<string, string>();
  const runs: StoredRun[] = [];
  const calls: MlflowDouble['calls'] = [];
  const faults: MlflowDouble['faults'] = [];

  // biome-ignore lint/suspicious/noExplicitAny: bodies of many shapes
  const routes: Record<string, (body: any) => unknown> = {
    'experiments/get-by-name': ({ experiment_name }) => {
      const id = experiments.get(experiment_name);
      if (id === undefined) throw new Refused('RESOURCE_DOES_NOT_EXIST', 404);
      return { experiment: { experiment_id: id } };
    },
    'experiments/create': ({ name }) => {
      if (experiments.has(name)) throw new Refused('RESOURCE_ALREADY_EXISTS', 400);
      experiments.set(name, `${experiments.size + 1}`);
      return { experiment_id: experiments.get(name) };
    },
    'runs/search': ({ experiment_ids, filter }) => {
      const wanted = [...filter.matchAll(/tags\.`([^`]+)` = '([^']*)'/g)].map(([, key, value]) => [key, value]);
      const found = runs.filter(
        (run) => experiment_ids.includes(run.experiment) && wanted.every(([key, value]) => run.tags[key] === value),
      );
      return found.length === 0 ? {} : { runs: found.map(({ id }) => ({ info: { run_id: id } })) };
    },
    'runs/create': ({ experiment_id, run_name, tags }) => {
      const run: StoredRun = {
        id: `run-${runs.length}`,
        experiment: experiment_id,
        name: run_name,
        status: 'RUNNING',
        tags: Object.fromEntries(tags.map(({ key, value }: { key: string; value: string }) => [key, value])),
        params: {},
        metrics: [],
      };
      runs.push(run);
      return { run: { info: { run_id: run.id } } };
    },
    'runs/log-batch': ({ run_id, metrics = [], params = [] }) => {
      const run = find(run_id);
      if (metrics.length > 1000 || params.length > 100) throw new Refused('INVALID_PARAMETER_VALUE', 400);
      run.metrics.push(...metrics);
      for (const { key, value } of params) {
        if (run.params[key] !== undefined && run.params[key] !== value)
          throw new Refused('INVALID_PARAMETER_VALUE', 400);
        run.params[key] = value;
      }
      return {};
    },
    'runs/update': ({ run_id, status }) => {
      find(run_id).status = status;
      return {};
    },
    'metrics/get-history': ({ run_id, metric_key, page_token = '0' }) => {
      const all = find(run_id).metrics.filter(({ key }) => key === metric_key);
      const next = Number(page_token) + 2;
      // As MLflow does: 64-bit numbers are texts in some versions' JSON.
      const metrics = all.slice(Number(page_token), next).map((metric) => ({ ...metric, step: `${metric.step}` }));
      return { metrics, ...(next < all.length && { next_page_token: `${next}` }) };
    },
  };
  const find = (id: string): StoredRun => {
    const run = runs.find((one) => one.id === id);
    if (run === undefined) throw new Refused('RESOURCE_DOES_NOT_EXIST', 404);
    return run;
  };

  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '', 'http://x');
    const path = url.pathname.replace('/api/2.0/mlflow/', '');
    calls.push({ path, authorization: request.headers.authorization });
    const body = request.method === 'GET' ? Object.fromEntries(url.searchParams) : JSON.parse(await textOf(request));
    const fault = faults[0]?.path === path ? faults.shift() : undefined;
    const fail = () => {
      if (fault?.retryAfter) response.setHeader('retry-after', fault.retryAfter);
      response.writeHead(fault?.status ?? 500).end('the proxy is unwell');
    };
    if (fault && !fault.after) return fail();
    try {
      const answer = routes[path]?.(body);
      if (fault) return fail();
      response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      response.writeHead(error.status).end(JSON.stringify({ error_code: error.code, message: `refused ${path}` }));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    experiments,
    runs,
    calls,
    faults,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

class Refused extends Error {
  readonly code: string;
  readonly status: number;

  constructor(code: string, status: number) {
    super(code);
    [this.code, this.status] = [code, status];
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text;
}
