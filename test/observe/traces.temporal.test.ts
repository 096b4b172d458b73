import { readdirSync, readFileSync } from 'node:fs';
import { Client } from '@temporalio/client';
import { noopMetricMeter } from '@temporalio/common';
import { Worker } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { observeServices } from '../../src/observe/services.ts';
import { observeStore } from '../../src/observe/store.ts';
import { openTracing, type WorkerTracing } from '../../src/observe/tracing.ts';
import { openServices } from '../../src/services/index.ts';
import { tokenizerRenderer } from '../../src/services/renderer/tokenizer.ts';
import { scriptedWriting } from '../../src/services/text-model/scripted.ts';
import { bundleWorkflows } from '../../src/workers/bundle.ts';
import { createWorkers } from '../../src/workers/worker.ts';
import { astroPipeline } from '../../src/workflows/index.ts';
import { type ModelServer, startModelServer } from '../support/model-server.ts';
import { type ReceivedSpan, startOtlpReceiver } from '../support/otlp-receiver.ts';
import { type Pipeline, startPipeline } from '../support/pipeline.ts';
import { sumsRun } from '../support/sums.ts';

/** One run with a judge behind HTTP that refuses once, started by a client and traced from there. */
const workflowId = 'astro/traced';
let pipeline: Pipeline;
let judge: ModelServer;
let spans: ReceivedSpan[];
let tracing: WorkerTracing;

beforeAll(async () => {
  pipeline = await startPipeline();
  const receiver = await startOtlpReceiver();
  judge = await startModelServer({
    write: (prompt, random) => scriptedWriting(prompt, 1, random)[0] ?? '',
    renderer: tokenizerRenderer('test/fixtures/chat/chatml', 'chat'),
  });
  judge.fail({ status: 503 });
  // The exporter reads the process's own environment, as OpenTelemetry's variables are meant.
  process.env.OTEL_EXPORTER_OTLP_ENDPOINT = receiver.url;
  const opened = (await openTracing(process.env))!;
  tracing = opened.worker;
  delete process.env.OTEL_EXPORTER_OTLP_ENDPOINT;

  const taskQueue = `traced-${process.pid}`;
  const workers = await createWorkers({
    connection: pipeline.env.nativeConnection,
    namespace: pipeline.env.namespace ?? 'default',
    deps: {
      store: observeStore(pipeline.store, noopMetricMeter, opened),
      services: observeServices(
        openServices({}, () => {}),
        opened,
      ),
    },
    taskQueue,
    tracing,
  });
  const running = workers.run();
  const client = new Client({ connection: pipeline.env.connection, interceptors: opened.client });
  const model = { kind: 'openai-chat' as const, baseUrl: `${judge.baseUrl}/v1`, model: 'model' };
  await client.workflow.execute(astroPipeline, {
    workflowId,
    taskQueue,
    args: [{ ...sumsRun, roles: { ...sumsRun.roles, judge: { votes: 2, model } } }],
  });
  workers.shutdown();
  await running;
  await opened.close();
  await receiver.close();
  spans = receiver.spans;
}, 120_000);

afterAll(async () => {
  await judge?.close();
  await pipeline?.close();
});

const named = (name: string) => spans.filter((span) => span.name === name);

/** Names from a span up to the root of its trace. */
function way(span: ReceivedSpan): string[] {
  const parent = spans.find(({ spanId }) => spanId === span.parentSpanId);
  return [span.name, ...(parent === undefined ? [] : way(parent))];
}

describe('the trace of a run', () => {
  it('is one, from its start by a client to each model call', () => {
    const start = named('StartWorkflow:astroPipeline');
    expect(start).toHaveLength(1);
    const calls = named('model call');
    expect(calls.length).toBeGreaterThan(10);
    for (const call of calls) expect(call.traceId).toBe(start[0]?.traceId);
    const searching = calls.find((call) => String(call.attributes['astroflow.call']).startsWith('search/'))!;
    expect(way(searching)).toEqual([
      'model call',
      'RunActivity:searchRounds',
      'StartActivity:searchRounds',
      'RunWorkflow:searchProblem',
      'StartChildWorkflow:searchProblem',
      'RunWorkflow:searchShard',
      'StartChildWorkflow:searchShard',
      'RunWorkflow:searchCorpus',
      'StartChildWorkflow:searchCorpus',
      'RunWorkflow:astroPipeline',
      'StartWorkflow:astroPipeline',
    ]);
    expect(start[0]?.resource['service.name']).toBe('astroflow');
  });

  it('says of a call its id, model, attempt, tokens and how it ended', () => {
    const judged = named('model call').filter(({ attributes }) => attributes['astroflow.role'] === 'judge');
    const [failed, ...others] = judged.toSorted((a, b) => Number(b.failed) - Number(a.failed));
    expect(failed).toMatchObject({ failed: true, attributes: { 'astroflow.attempt': 1, 'astroflow.outcome': '503' } });
    const again = others.find(
      ({ attributes }) => attributes['astroflow.call'] === failed?.attributes['astroflow.call'],
    );
    expect(again).toMatchObject({
      failed: false,
      attributes: {
        'astroflow.attempt': 2,
        'astroflow.outcome': 'answered',
        'astroflow.requests': 1,
        'gen_ai.request.model': 'model',
        'gen_ai.usage.output_tokens': expect.any(Number),
      },
    });
  });

  it("goes on in the service, which is told the call's span", () => {
    const asked = judge.requests.filter(({ path }) => path === '/v1/chat/completions');
    for (const { headers } of asked) {
      const call = named('model call').find(
        ({ spanId, traceId }) => headers.traceparent === `00-${traceId}-${spanId}-01`,
      );
      expect(call?.attributes['astroflow.call']).toBe(headers['x-astroflow-call']);
    }
    expect(asked.length).toBeGreaterThan(2);
  });

  it('has what the store and the trainer did, below the activity that needed it', () => {
    expect(way(named('store put').at(-1)!)[1]).toMatch(/^RunActivity:/);
    expect(named('optimiser step').map((step) => way(step)[1])).toEqual([
      'RunActivity:trainSteps',
      'RunActivity:trainSteps',
    ]);
  });
});

describe('workers with traces', () => {
  it('go on with runs that were begun without: every golden history replays', async () => {
    const folder = new URL('../replay/histories/', import.meta.url);
    const histories = readdirSync(folder)
      .filter((name) => name.endsWith('.json'))
      .map((name) => ({ workflowId: name, history: JSON.parse(readFileSync(new URL(name, folder), 'utf8')) }));
    const workflowBundle = await bundleWorkflows({ tracing });
    const failed: string[] = [];
    let replayed = 0;
    const options = { workflowBundle, sinks: tracing.sinks };
    for await (const { workflowId: name, error } of Worker.runReplayHistories(options, histories)) {
      replayed += 1;
      if (error !== undefined) failed.push(`${name}: ${error.message}`);
    }
    expect([failed, replayed]).toEqual([[], histories.length]);
  });
});
