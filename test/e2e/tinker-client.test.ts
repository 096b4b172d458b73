import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Engine, startEngine } from '../../src/cli/engine.ts';
import {
  connectTinker,
  encodedText,
  type ForwardBackwardInput,
  type TinkerClient,
  type TrainingModel,
  trainingModel,
} from '../../src/services/tinker/index.ts';

/** The client against the bundled engine, in both formats. */
const { signal } = new AbortController();
const baseModel = 'astroflow-countdown';
const adam = { learning_rate: 1e-3, beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0, grad_clip_norm: 1 };
const tokens = [5, 6, 7, 8];
const input: ForwardBackwardInput = {
  loss_fn: 'cross_entropy',
  data: [
    {
      model_input: encodedText(tokens.slice(0, -1)),
      loss_fn_inputs: {
        target_tokens: { data: tokens.slice(1), dtype: 'int64', shape: [3] },
        weights: { data: [1, 1, 1], dtype: 'float32', shape: [3] },
      },
    },
  ],
};

let data: string;
let engine: Engine;
let baseUrl: string;
beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), 'tinker-client-'));
  engine = startEngine({ data, logFile: join(data, 'engine.log'), threads: 1 });
  baseUrl = await engine.url;
});
afterAll(async () => {
  await engine.child.kill();
  await rm(data, { recursive: true, force: true });
});

const logprobs = (output: { loss_fn_outputs: { logprobs: { data: number[] } }[] }) =>
  Float32Array.from(output.loss_fn_outputs[0]?.logprobs.data ?? []);

describe.each(['json', 'proto'] as const)('a model trained by requests in %s', (wire) => {
  let client: TinkerClient;
  let sessionId: string;
  let model: TrainingModel;
  beforeAll(async () => {
    client = await connectTinker({ baseUrl, timeoutMs: 60_000, capabilities: { wire } }, signal);
    sessionId = await client.createSession(signal);
    const made = await client.createModel({ sessionId, modelSeqId: 0, baseModel, lora: null }, signal);
    model = trainingModel(client, { modelId: (await made.result()).model_id });
  });

  it('learns, is saved, goes on from there in another model, and is sampled', async () => {
    const seen = await model.forward(input, signal);
    const { output } = await model.step(input, adam, signal);
    // What a look sees is what a step starts from.
    expect(logprobs(output)).toEqual(logprobs(seen));
    const state = await model.saveWeights('state', { ttlSeconds: 3600 }, signal);
    const next = await model.step(input, adam, signal);
    expect(next.output.metrics['loss:sum']).toBeLessThan(output.metrics['loss:sum'] ?? 0);

    const from = { sessionId, modelSeqId: 1, path: state, optimizer: true };
    const restored = await (await client.createModelFromWeights(from, signal)).result();
    const again = trainingModel(client, { modelId: restored.model_id });
    expect((await again.step(input, adam, signal)).output).toEqual(next.output);

    const path = await model.saveWeightsForSampler('sampler', {}, signal);
    const asked = { prompt: encodedText([5, 6]), num_samples: 2, sampling_params: { max_tokens: 4, seed: 1 } };
    const sampled = await (await client.sample({ ...asked, model_path: path }, signal)).result();
    const sampler = await client.createSamplingSession({ sessionId, seqId: 0, modelPath: path }, signal);
    expect(await client.sampler(sampler, signal)).toMatchObject({ base_model: baseModel, model_path: path });
    const named = await (await client.sample({ ...asked, sampling_session_id: sampler, seq_id: 0 }, signal)).result();
    const ids = (result: typeof named) => result.sequences.map((sequence) => sequence.tokens);
    expect(ids(named)).toEqual(ids(sampled));
  });

  it('is executed once for a request that is sent twice', async () => {
    const seqId = model.nextSeqId;
    const [first, second] = [
      await client.forwardBackward(model.modelId, seqId, input, signal),
      await client.forwardBackward(model.modelId, seqId, input, signal),
    ];
    expect(second.requestId).toBe(first.requestId);
    await first.result();
    const other = { ...input, data: [...input.data, ...input.data] };
    const reused = client.forwardBackward(model.modelId, seqId, other, signal);
    await expect(reused).rejects.toMatchObject({ kind: 'fatal', status: 409 });
  });

  it('leaves checkpoints that are listed, kept, downloaded and deleted', async () => {
    const run = model.modelId;
    const [state, sampler] = [`tinker://${run}/weights/state`, `tinker://${run}/sampler_weights/sampler`];
    expect((await client.runCheckpoints(run, signal)).map(({ tinker_path }) => tinker_path).sort()).toEqual(
      [sampler, state].sort(),
    );
    expect(await client.weightsInfo(state, signal)).toMatchObject({ base_model: baseModel, is_lora: false });
    await client.setCheckpointTtl(state, null, signal);
    await client.publishCheckpoint(state, signal);
    const kept = (await client.runCheckpoints(run, signal)).find(({ tinker_path }) => tinker_path === state);
    expect(kept).toMatchObject({ public: true, expires_at: null });
    await client.unpublishCheckpoint(state, signal);

    const folder = await client.downloadCheckpoint(sampler, join(data, `downloads-${wire}`), signal);
    expect(await readdir(folder)).toEqual(
      expect.arrayContaining(['config.json', 'model.safetensors', 'tokenizer.json']),
    );

    await client.deleteCheckpoint(state, signal);
    await expect(client.weightsInfo(state, signal)).rejects.toMatchObject({ kind: 'lost', status: 404 });
    expect((await client.trainingRun(run, signal)).last_checkpoint).toBeNull();
    expect((await client.trainingRuns({ limit: 1 }, signal)).cursor).toMatchObject({ limit: 1 });
  });

  it('belongs to a session, until it is unloaded', async () => {
    expect((await client.session(sessionId, signal)).training_run_ids).toContain(model.modelId);
    expect(await client.sessions({ limit: 1 }, signal)).toEqual([sessionId]);
    expect(await client.modelInfo(model.modelId, signal)).toMatchObject({ model_id: model.modelId });
    await model.unload(signal);
    await expect(model.saveWeights('late', {}, signal)).rejects.toMatchObject({ kind: 'lost' });
  });
});

describe('an adapter trained by requests', () => {
  it('starts as the base, learns, goes on from its checkpoint, and is sampled as it was trained', async () => {
    const client = await connectTinker({ baseUrl, timeoutMs: 60_000 }, signal);
    expect(client.can).toMatchObject({ lora: true, fullFinetune: true, promptLogprobs: true, ephemeralSampler: true });
    const sessionId = await client.createSession(signal);
    let modelSeqId = 0;
    const make = async (lora: { rank: number; seed: number } | null) => {
      const made = await client.createModel({ sessionId, modelSeqId: modelSeqId++, baseModel, lora }, signal);
      return trainingModel(client, { modelId: (await made.result()).model_id });
    };
    const [base, model] = [await make(null), await make({ rank: 8, seed: 1 })];
    expect(logprobs(await model.forward(input, signal))).toEqual(logprobs(await base.forward(input, signal)));
    expect(await client.modelInfo(model.modelId, signal)).toMatchObject({ is_lora: true, lora_rank: 8 });
    const { output } = await model.step(input, adam, signal);
    const state = await model.saveWeights('state', {}, signal);
    const sampler = await model.saveWeightsForSampler('sampler', {}, signal);
    const next = await model.step(input, adam, signal);
    expect(next.output.metrics['loss:sum']).toBeLessThan(output.metrics['loss:sum'] ?? 0);
    expect(logprobs(await base.forward(input, signal))).toEqual(logprobs(output));

    const scored = await client.computeLogprobs({ model_path: sampler }, encodedText(tokens), signal);
    logprobs(next.output).forEach((logprob, at) => {
      expect(scored[at + 1]).toBeCloseTo(logprob, 5);
    });
    const restored = await make({ rank: 8, seed: 2 });
    await restored.loadWeights(state, { optimizer: true }, signal);
    expect((await restored.step(input, adam, signal)).output).toEqual(next.output);
    const other = await make({ rank: 4, seed: 1 });
    await expect(other.loadWeights(state, { optimizer: true }, signal)).rejects.toMatchObject({
      kind: 'fatal',
      message: expect.stringMatching(/LoRA of rank 8 .* the model trains LoRA of rank 4/),
    });

    expect(await client.weightsInfo(sampler, signal)).toMatchObject({ is_lora: true, lora_rank: 8 });
    const folder = await client.downloadCheckpoint(sampler, join(data, 'downloads-adapter'), signal);
    expect(await readdir(folder)).toEqual(expect.arrayContaining(['adapter_config.json', 'adapter_model.safetensors']));
  });
});
