import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Metrics, Point } from '../../src/export/metrics.ts';
import { sendToMlflow } from '../../src/export/mlflow.ts';
import { type MlflowDouble, startMlflowDouble } from '../support/mlflow-double.ts';

let server: MlflowDouble;
let waits: number[];
beforeEach(async () => {
  server = await startMlflowDouble();
  waits = [];
});
afterEach(() => server.close());

const points = (count: number): Point[] =>
  Array.from({ length: count }, (_, step) => ({ step, value: step / 3, timeMs: 1000.5 }));

function metrics(series: Record<string, Point[]>, key = 'k1'): Metrics {
  const params = {
    run: 'demo',
    long: 'x'.repeat(9000),
    ...Object.fromEntries(points(150).map(({ step }) => [`p${step}`, step])),
  };
  return { run: 'demo', missing: [], arms: [{ arm: 'search', series, params, key, finished: true }] };
}

const send = (what: Metrics, env: NodeJS.ProcessEnv = {}, url = server.url) =>
  sendToMlflow(what, {
    url,
    env,
    experiment: 'astroflow',
    signal: new AbortController().signal,
    sleep: async (ms) => waits.push(ms),
  });

describe('curves in MLflow', () => {
  it('are one run with tags, parameters and every point, sent in calls of the size that MLflow takes', async () => {
    const { runs } = await send(metrics({ 'rl/reward': points(2500), 'sft/loss': points(3) }));
    expect(runs).toEqual([{ arm: 'search', runId: 'run-0', logged: 2503 }]);
    const [run] = server.runs;
    expect(run).toMatchObject({
      name: 'demo-search',
      status: 'FINISHED',
      tags: { 'astroflow.run': 'demo', 'astroflow.arm': 'search', 'astroflow.key': 'k1' },
      params: { run: 'demo', p149: '149' },
    });
    expect(run?.metrics).toHaveLength(2503);
    expect(run?.metrics[2]).toEqual({ key: 'rl/reward', step: 2, value: 2 / 3, timestamp: 1001 });
  });

  it('that are sent again are found again, and only what is new is added', async () => {
    await send(metrics({ 'rl/reward': points(5) }));
    const again = await send(metrics({ 'rl/reward': points(7), 'sft/loss': points(1) }));
    expect(again.runs).toEqual([{ arm: 'search', runId: 'run-0', logged: 3 }]);
    expect((await send(metrics({ 'rl/reward': points(7), 'sft/loss': points(1) }))).runs[0]?.logged).toBe(0);
    expect(server.runs).toHaveLength(1);
    expect(server.runs[0]?.metrics).toHaveLength(8);
    expect(server.experiments.size).toBe(1);
  });

  it('of another configuration under the same name are another run', async () => {
    await send(metrics({ 'rl/reward': points(5) }));
    await send(metrics({ 'rl/reward': points(5) }, 'k2'));
    expect(server.runs.map(({ tags }) => tags['astroflow.key'])).toEqual(['k1', 'k2']);
  });

  it('outlive a server that is busy, and wait as long as it says', async () => {
    server.faults.push(
      { path: 'experiments/get-by-name', status: 503, after: false },
      { path: 'experiments/get-by-name', status: 429, after: false, retryAfter: '7' },
    );
    await send(metrics({ 'rl/reward': points(1) }));
    expect(waits).toEqual([500, 7000]);
    expect(server.runs[0]?.metrics).toHaveLength(1);
  });

  it.each(['experiments/create', 'runs/create'])(
    'are one run in one experiment also where %s was carried out and its answer lost',
    async (path) => {
      server.faults.push({ path, status: 502, after: true });
      await send(metrics({ 'rl/reward': points(3) }));
      expect(server.experiments.size).toBe(1);
      expect(server.runs).toHaveLength(1);
      expect(server.runs[0]?.metrics).toHaveLength(3);
    },
  );

  it('are given up where the server stays away, with its address', async () => {
    await server.close();
    await expect(send(metrics({ 'rl/reward': points(1) }))).rejects.toThrow(`MLflow at ${server.url}: no answer`);
    expect(waits).toHaveLength(5);
    server = await startMlflowDouble();
  });

  it("are sent with the client's own access variables", async () => {
    await send(metrics({ a: points(1) }), { MLFLOW_TRACKING_TOKEN: 'secret' });
    expect(server.calls.at(-1)?.authorization).toBe('Bearer secret');
    await send(metrics({ a: points(1) }), { MLFLOW_TRACKING_USERNAME: 'u', MLFLOW_TRACKING_PASSWORD: 'p' });
    expect(server.calls.at(-1)?.authorization).toBe(`Basic ${Buffer.from('u:p').toString('base64')}`);
    await send(metrics({ a: points(1) }), {}, server.url.replace('//', '//u:p%21@'));
    expect(server.calls.at(-1)?.authorization).toBe(`Basic ${Buffer.from('u:p!').toString('base64')}`);
  });

  it.each([
    ['file:///data/mlruns', 'mlflow server --backend-store-uri file:///data/mlruns'],
    ['sqlite:///mlflow.db', 'mlflow server --backend-store-uri sqlite:///mlflow.db'],
    ['./mlruns', 'mlflow server --backend-store-uri ./mlruns'],
    ['databricks://profile', 'is not the address of an MLflow server'],
  ])('cannot be sent to %s, and what can be done is said', async (url, message) => {
    await expect(send(metrics({}), {}, url)).rejects.toThrow(message);
  });

  it('that are refused say why, once', async () => {
    server.faults.push({ path: 'experiments/get-by-name', status: 401, after: false });
    await expect(send(metrics({}))).rejects.toThrow(/401 .*set MLFLOW_TRACKING_TOKEN/);
    expect(waits).toEqual([]);
  });
});
