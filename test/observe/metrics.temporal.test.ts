import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Runtime } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readAccounts } from '../../src/accounts/read-accounts.ts';
import type { ActivityDeps } from '../../src/activities/deps.ts';
import type { UpdateResult } from '../../src/activities/reinforce.ts';
import type { StoredStageResult } from '../../src/activities/results.ts';
import { choosePort } from '../../src/cli/ports.ts';
import { installRuntime } from '../../src/cli/runtime.ts';
import { startAttributes } from '../../src/cli/search-attributes.ts';
import { startRun } from '../../src/cli/start.ts';
import { artifactNames, type Plan } from '../../src/config/plan.ts';
import type { RunConfigInput } from '../../src/config/schema.ts';
import { foldLedger, type Ledger } from '../../src/core/ledger/ledger.ts';
import { exposedName, type MetricName, metrics } from '../../src/core/metrics.ts';
import { searchAttributes } from '../../src/core/search-attributes.ts';
import { type OpenRuns, watchOpenRuns } from '../../src/observe/open-runs.ts';
import { serviceWatch } from '../../src/observe/service-watch.ts';
import { observeServices } from '../../src/observe/services.ts';
import { observeStore } from '../../src/observe/store.ts';
import { noTracing } from '../../src/observe/tracing.ts';
import { ServiceError } from '../../src/services/errors.ts';
import { openServices } from '../../src/services/index.ts';
import { tokenizerRenderer } from '../../src/services/renderer/tokenizer.ts';
import type { Sampler } from '../../src/services/sampler/sampler.ts';
import { scriptedWriting } from '../../src/services/text-model/scripted.ts';
import { createWorkers } from '../../src/workers/worker.ts';
import { type ModelServer, startModelServer } from '../support/model-server.ts';
import { type Pipeline, startPipeline } from '../support/pipeline.ts';
import { type Scrape, scrape } from '../support/prometheus.ts';
import { sharedBundle } from '../support/shared-bundle.ts';
import { sumsRun } from '../support/sums.ts';
import { until } from '../support/watch.ts';

/** One run, whose judge is a model behind HTTP, with RL, a lost attempt, a server that is overloaded once, and a question. */
const run = 'observed';
const problemsInPage = 4;
let pipeline: Pipeline;
let judge: ModelServer;
let logs: string;
let address: string;
let seen: Scrape;
let ledger: Ledger;
let plan: Plan;
let runs: OpenRuns;
let asking: Scrape;
let logText: string;

/** Fails the second call of the first attempt at the search of one problem: what the first was answered is lost. */
function losing(real: Sampler): Sampler {
  let victim: string | undefined;
  return {
    ...real,
    async sample(request, signal) {
      const isSearch = request.callId.startsWith('search/');
      if (isSearch && victim === undefined && /\/0\/rollout-/.test(request.callId)) {
        victim = request.callId;
        throw new ServiceError('retryable', 'gone for a moment', { service: 'scripted' });
      }
      return real.sample(request, signal);
    },
  };
}

const configFor = (judgeUrl: string): RunConfigInput => ({
  ...sumsRun,
  onFailure: 'ask',
  roles: {
    ...sumsRun.roles,
    judge: { votes: 2, model: { kind: 'openai-chat', baseUrl: `${judgeUrl}/v1`, model: 'model' } },
  },
  search: { ...sumsRun.search, pageSize: problemsInPage },
  rl: {
    difficulty: { low: 0, high: 1 },
    search: { iterations: 2, promptsPerIteration: 3, groupSize: 4, maxTokens: 400 },
  },
});

/** A start makes those that are missing for the runs after it. */
async function haveSearchAttributes(): Promise<void> {
  const known = async () =>
    (await pipeline.env.connection.operatorService.listSearchAttributes({ namespace: 'default' })).customAttributes;
  await startAttributes(pipeline.client, { run, workflow: 'astroPipeline', document: {} });
  await until(async () => searchAttributes.attention in ((await known()) ?? {}));
}

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'astroflow-logs-'));
  logs = join(folder, 'worker.log');
  address = `127.0.0.1:${await choosePort()}`;
  const env = { ASTROFLOW_METRICS_ADDRESS: address, ASTROFLOW_LOG_FORMAT: 'json' };
  pipeline = await startPipeline({}, () => installRuntime({ env, logFile: logs }));
  judge = await startModelServer({
    write: (prompt, random) => scriptedWriting(prompt, 1, random)[0] ?? '',
    renderer: tokenizerRenderer('test/fixtures/chat/chatml', 'chat'),
  });
  judge.fail({ status: 429, retryAfter: 0 }, { status: 400 });

  const meter = Runtime.instance().metricMeter;
  const open = openServices({}, () => {}, serviceWatch(meter));
  const lossy = new WeakMap<object, ReturnType<typeof open>>();
  const services: ActivityDeps['services'] = (policy) => {
    const real = open(policy);
    const made = lossy.get(real) ?? { ...real, sampler: losing(real.sampler) };
    lossy.set(real, made);
    return made;
  };
  const taskQueue = `observed-${process.pid}`;
  const workers = await createWorkers({
    connection: pipeline.env.nativeConnection,
    namespace: pipeline.env.namespace ?? 'default',
    deps: { store: observeStore(pipeline.store, meter, noTracing), services: observeServices(services, noTracing) },
    taskQueue,
    workflowBundle: await sharedBundle(),
  });
  const running = workers.run();
  runs = watchOpenRuns(pipeline.client, meter, () => {});
  await haveSearchAttributes();
  const handle = await startRun(pipeline.client, {
    workflow: 'astroPipeline',
    run,
    document: configFor(judge.baseUrl) as never,
    taskQueue,
  });
  await until(async () => {
    await runs.look();
    asking = await scrape(address);
    return asking.sum('astroflow_attention', { run }) === 1;
  });
  await handle.executeUpdate('resolve', { args: [{ action: 'retry' }] });
  await handle.result();
  await runs.look();
  seen = await scrape(address);

  const stored = await pipeline.store.find(artifactNames.run(run, 'plan.json'));
  plan = await pipeline.store.getJson<Plan>(stored!);
  const policy = open(plan.search.policy);
  ledger = foldLedger(
    await readAccounts(plan, { store: pipeline.store, services: policy, signal: AbortSignal.timeout(20_000) }),
  );
  workers.shutdown();
  await running;
  logText = readFileSync(logs, 'utf8');
  await rm(folder, { recursive: true, force: true });
}, 120_000);

afterAll(async () => {
  await runs?.stop();
  await judge?.close();
  await pipeline?.close();
});

const value = (name: MetricName, labels: Record<string, string> = {}) =>
  seen.sum(exposedName(name), { run, ...labels });
const ofService = (name: MetricName, labels: Record<string, string> = {}, suffix = '') =>
  seen.sum(`${exposedName(name)}${suffix}`, { service: new URL(judge.baseUrl).host, ...labels });

async function result(name: string): Promise<StoredStageResult> {
  return pipeline.store.getJson<StoredStageResult>((await pipeline.store.find(name))!);
}

describe('metrics of a run', () => {
  it('shows every metric of the list in the format of Prometheus, with its kind and meaning', () => {
    const missing = (Object.keys(metrics) as MetricName[]).filter((name) => !seen.types.has(exposedName(name)));
    expect(missing).toEqual([]);
    for (const [name, { kind, meaning }] of Object.entries(metrics)) {
      expect(seen.types.get(exposedName(name as MetricName)), name).toBe(kind);
      expect(seen.help.get(exposedName(name as MetricName)), name).toBe(meaning);
    }
  });

  it('has the labels of the list and of the SDK, and none that grows with problems or calls', () => {
    const ofSdk = ['namespace', 'taskQueue', 'activityType', 'workflowType', 'le'];
    for (const { name, labels } of seen.samples.filter((one) => one.name.startsWith('astroflow_'))) {
      const metric = (Object.keys(metrics) as MetricName[]).find((known) =>
        [exposedName(known), ...['bucket', 'sum', 'count'].map((part) => `${exposedName(known)}_${part}`)].includes(
          name,
        ),
      );
      const known: readonly string[] = metrics[metric as MetricName].labels;
      expect(
        known.filter((label) => !(label in labels)),
        name,
      ).toEqual([]);
      expect(
        Object.keys(labels).filter((label) => !known.includes(label) && !ofSdk.includes(label)),
        name,
      ).toEqual([]);
      for (const text of Object.values(labels)) expect(text, name).not.toMatch(/problem|\/\d/);
    }
  });

  it('counts problems as the index has them', async () => {
    const { trees } = await result(artifactNames.searchResult(plan.search));
    expect(value('astroflow_problems', { outcome: 'solved' })).toBe(trees?.solved);
    const unsolved = value('astroflow_problems', { outcome: 'unsolved' }) ?? 0;
    expect((value('astroflow_problems', { outcome: 'solved' }) ?? 0) + unsolved).toBe(plan.search.problems.count);
    expect(value('astroflow_problems', { outcome: 'quarantined' })).toBe(0);
  });

  it.each(['credited', 'wasted'] as const)('says what the ledger says is %s, by stage', (fate) => {
    for (const line of ledger.stages) {
      const labels = { stage: line.stage, result: fate };
      const { calls, promptTokens, completionTokens } = line[fate];
      expect(value('astroflow_settled_calls', labels) ?? 0, line.stage).toBe(calls);
      const tokens = (kind: string) => value('astroflow_settled_tokens', { ...labels, kind }) ?? 0;
      expect([tokens('prompt'), tokens('completion')], line.stage).toEqual([promptTokens, completionTokens]);
    }
  });

  it('counts a lost attempt and what it had been answered as wasted', () => {
    const search = ledger.stages.find(({ stage }) => stage === 'search');
    expect(search?.wasted.calls).toBe(1);
    expect(value('astroflow_settled_calls', { stage: 'search', result: 'wasted' })).toBe(1);
    expect(value('astroflow_lost_attempts', { stage: 'search' })).toBe(1);
    expect(value('astroflow_calls', { stage: 'search', outcome: 'unavailable' })).toBe(1);
  });

  it('has series of what goes wrong before it does, so that its first event is an increase to Prometheus', () => {
    expect(seen.sum('astroflow_store_operations_total', { outcome: 'failed' })).toBe(0);
    expect(value('astroflow_settled_calls', { stage: 'evaluate', result: 'wasted' })).toBe(0);
    expect(ofService('astroflow_requests', { outcome: 'timeout' })).toBe(0);
    expect(value('astroflow_questions', { stage: 'search' })).toBe(0);
  });

  it('counts calls by role, and times each that was answered', () => {
    const search = ledger.stages.find(({ stage }) => stage === 'search')!;
    const policy = { stage: 'search', role: 'policy', outcome: 'answered' };
    expect(value('astroflow_calls', policy)).toBe(search.credited.calls + search.wasted.calls);
    for (const role of ['judge', 'narrate']) {
      const calls = value('astroflow_calls', { stage: 'linearize', role, outcome: 'answered' });
      expect(calls).toBeGreaterThan(0);
      expect(seen.sum('astroflow_call_duration_seconds_count', { run, role })).toBe(calls);
    }
    expect(value('astroflow_calls', { role: 'judge', outcome: '429' })).toBe(1);
  });

  it("counts a service's requests as the service does, its refusal among them", () => {
    const asked = judge.requests.filter(({ path }) => path === '/v1/chat/completions').length;
    expect(ofService('astroflow_requests')).toBe(asked);
    expect(ofService('astroflow_requests', { outcome: '429' })).toBe(1);
    expect(ofService('astroflow_requests', { outcome: 'refused' })).toBe(1);
    expect(ofService('astroflow_requests', { outcome: 'answered' })).toBe(asked - 2);
    expect(ofService('astroflow_request_wait', {}, '_count')).toBe(asked);
    expect(ofService('astroflow_request_duration', {}, '_count')).toBe(asked);
    expect(ofService('astroflow_concurrency_used')).toBe(0);
    expect(ofService('astroflow_requests_waiting')).toBe(0);
    expect(ofService('astroflow_concurrency_limit')).toBeGreaterThan(0);
  });

  it("shows the last iteration's figures as they are stored, on-policy", async () => {
    const ref = await pipeline.store.find(artifactNames.update(plan.rl.search.key, 1));
    const { summary } = await pipeline.store.getJson<UpdateResult>(ref!);
    const gauge = (name: MetricName) => value(name, { arm: 'search' });
    expect(gauge('astroflow_rl_iteration')).toBe(summary.iteration);
    expect(gauge('astroflow_rl_reward_share')! * 2 - 1).toBeCloseTo(summary.meanReward, 9);
    expect(gauge('astroflow_rl_pass_rate')).toBeCloseTo(summary.passRate, 9);
    expect(gauge('astroflow_rl_truncated')).toBeCloseTo(summary.truncated, 9);
    expect(gauge('astroflow_rl_answer_tokens')).toBeCloseTo(summary.meanTokens, 9);
    expect(gauge('astroflow_rl_entropy')).toBeCloseTo(summary.entropy, 9);
    expect(gauge('astroflow_rl_logprob_gap')).toBeCloseTo(summary.logprobGap!, 9);
    expect(gauge('astroflow_rl_uniform_groups')).toBeCloseTo(summary.zeroVarianceGroups / summary.groups, 9);
    expect(gauge('astroflow_rl_policy_lag')).toBe(0);
  });

  it('counts the optimiser steps that the checkpoints have', async () => {
    const sft = await result(artifactNames.result('sft', plan.sft.search.key));
    const rl = await result(artifactNames.result('rl', plan.rl.search.key));
    const steps = (stage: string) => value('astroflow_optimiser_steps', { stage, arm: 'search' });
    expect([steps('sft'), steps('rl')]).toEqual([sft.checkpoint?.step, rl.checkpoint?.step]);
    expect(seen.sum('astroflow_optimiser_step_duration_seconds_count', { run, stage: 'sft' })).toBe(steps('sft'));
  });

  it('shows each stage done, and how long it took', async () => {
    const { startedAtMs, endedAtMs } = await result(artifactNames.searchResult(plan.search));
    expect(value('astroflow_stage_duration_seconds', { stage: 'search' })).toBeCloseTo(
      (endedAtMs - startedAtMs) / 1000,
    );
    for (const stage of ['search', 'linearize', 'sft', 'rl', 'evaluate']) {
      expect(value('astroflow_stages', { stage, outcome: 'done' }), stage).toBe(1);
      expect(value('astroflow_stage_done', { stage }), stage).toBe(value('astroflow_stage_total', { stage }));
    }
  });

  it('shows that the run is open and waits for a person while it does', () => {
    const gauges = (at: Scrape) => [at.sum('astroflow_run_open', { run }), at.sum('astroflow_attention', { run })];
    expect([gauges(asking), gauges(seen)]).toEqual([
      [1, 1],
      [0, 0],
    ]);
    expect(value('astroflow_questions', { stage: 'linearize' })).toBe(1);
    expect(value('astroflow_calls', { role: 'judge', outcome: 'refused' })).toBe(1);
  });

  it('counts the store by operation, with bytes for what was written and read', () => {
    for (const operation of ['put', 'get', 'find']) {
      const done = seen.sum('astroflow_store_operations_total', { operation, outcome: 'ok' })!;
      expect(done).toBeGreaterThan(0);
      expect(seen.sum('astroflow_store_operation_duration_seconds_count', { operation })).toBe(done);
    }
    expect(seen.sum('astroflow_store_bytes_total', { operation: 'put' })).toBeGreaterThan(10_000);
    expect(seen.sum('astroflow_store_bytes_total', { operation: 'find' })).toBeNull();
  });

  it("has the SDK's own beside it: how long activities wait for a slot", () => {
    expect(seen.sum('temporal_activity_schedule_to_start_latency_seconds_count')).toBeGreaterThan(0);
  });
});

describe('logs of a run as JSON', () => {
  const lines = () =>
    logText
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);

  it('tell when stages begin and end', () => {
    const of = (message: string) => lines().filter((line) => line.message === message && line.run === run);
    expect(of('stage search begins')).toMatchObject([{ level: 'INFO', stage: 'search', total: 6 }]);
    expect(of('stage rl is done')).toMatchObject([
      { level: 'INFO', stage: 'rl', arm: 'search', workflowId: `astro/${run}/rl/search` },
    ]);
  });

  it('tell which attempt was lost and why, and of which problem', () => {
    const failed = lines().filter((line) => line.activity === 'searchRounds' && line.level === 'WARN');
    expect(failed).toMatchObject([
      { run, stage: 'search', attempt: 1, error: { message: expect.stringContaining('gone for a moment') } },
    ]);
    expect(failed[0]?.problem).toEqual(expect.stringMatching(/./));
    expect(String(failed[0]?.workflowId)).toContain(String(failed[0]?.problem));
  });

  it('tell what a person is asked', () => {
    const asked = lines().filter((line) => String(line.message).startsWith('waits for a person'));
    expect(asked).toMatchObject([{ level: 'WARN', run, stage: 'linearize', offers: ['retry', 'skip', 'abort'] }]);
  });

  it('have no line for a call', () => {
    expect(lines().length).toBeLessThan(60);
  });
});
