import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  connectTinker,
  encodedText,
  type ForwardBackwardInput,
  type ForwardBackwardOutput,
  isUnknownPath,
  knownServers,
  type SampleInput,
  servingModels,
  type TinkerClient,
  type TrainingModel,
  trainingModel,
} from '../../src/services/tinker/index.ts';
import { tinkerTrainer } from '../../src/services/trainer/tinker.ts';
import { environment } from './environment.ts';
import { loraRank, type SkyrlServer, skyrlModel, startSkyrl } from './skyrl-server.ts';

/**
 * The client against SkyRL's real server (JAX, on the CPU) and a small Llama-shaped model. What differs from other
 * servers is in `capabilities.ts`; here it is seen. Part of `npm run test:services`.
 */

const { missing } = environment('skyrl');
const { signal } = new AbortController();
const adam = { learning_rate: 1e-2, beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0, grad_clip_norm: 0 };
const rows = [
  [5, 6, 7, 8, 9],
  [10, 11, 12, 13, 14],
];
const prompt = [5, 6];
/** Log-probabilities of one token by two ways through the model differ in the sixth digit. */
const precision = 3;

function input(tokens: number[][] = rows): ForwardBackwardInput {
  return {
    loss_fn: 'cross_entropy',
    data: tokens.map((full) => ({
      model_input: encodedText(full.slice(0, -1)),
      loss_fn_inputs: {
        target_tokens: { data: full.slice(1), dtype: 'int64', shape: [full.length - 1] },
        weights: { data: full.slice(1).map(() => 1), dtype: 'float32', shape: [full.length - 1] },
      },
    })),
  };
}

const logprobs = (output: ForwardBackwardOutput) => output.loss_fn_outputs.map((row) => row.logprobs.data);
const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0);
const loss = (output: ForwardBackwardOutput) => -sum(logprobs(output).flat());
const close = (numbers: (number | null)[]) => numbers.map((number) => number && expect.closeTo(number, precision));

describe.skipIf(missing)('SkyRL', () => {
  let folder: string;
  let server: SkyrlServer;
  let client: TinkerClient;
  let sessionId: string;
  let model: TrainingModel;
  let models = 0;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'astroflow-skyrl-'));
    server = await startSkyrl(folder);
    client = await connectTinker({ baseUrl: server.baseUrl, timeoutMs: 180_000 }, signal);
    sessionId = await client.createSession(signal);
    model = await newModel();
  });
  afterAll(async () => {
    await server?.stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });

  async function newModel(rank = loraRank): Promise<TrainingModel> {
    const made = { sessionId, modelSeqId: models++, baseModel: skyrlModel, lora: { rank, seed: 1 } };
    return trainingModel(client, { modelId: (await (await client.createModel(made, signal)).result()).model_id });
  }

  type From = Pick<SampleInput, 'model_path' | 'base_model' | 'sampling_session_id' | 'seq_id'>;
  async function sample(from: From, sampling: SampleInput['sampling_params'] = {}) {
    const sampling_params = { max_tokens: 8, seed: 7, ...sampling };
    const asked = { ...from, prompt: encodedText(prompt), num_samples: 2, sampling_params };
    return (await (await client.sample(asked, signal)).result()).sequences;
  }
  const promptLogprobs = (from: From, tokens = rows[0] as number[]) =>
    client.computeLogprobs(from, encodedText(tokens), signal);

  it('is recognised', async () => {
    expect(client.can).toEqual(knownServers.skyrl);
    expect((await client.capabilities(signal)).supported_models).toEqual([{ model_name: skyrlModel }]);
    await expect(client.sessions({ limit: 1 }, signal)).rejects.toSatisfy(isUnknownPath);
  });

  it.each([0, loraRank + 1])('trains LoRA up to its rank, not of rank %i', async (rank) => {
    await expect(newModel(rank)).rejects.toMatchObject({
      kind: 'fatal',
      message: expect.stringContaining(`LoRA rank ${rank} must be between 1 and ${loraRank}`),
    });
  });

  it('is fine-tuned: the loss falls, and what a look sees is what a step starts from', async () => {
    const seen = await model.forward(input(), signal);
    const outputs: ForwardBackwardOutput[] = [];
    for (let step = 0; step < 12; step++) outputs.push((await model.step(input(), adam, signal)).output);
    const first = outputs[0] as ForwardBackwardOutput;
    expect(logprobs(first)).toEqual(logprobs(seen).map(close));
    expect(loss(outputs.at(-1) as ForwardBackwardOutput)).toBeLessThan(loss(first) / 4);
  });

  it.each(['importance_sampling', 'ppo', 'cispo'])('learns from rewards: %s', async (loss_fn) => {
    const path = await model.saveWeightsForSampler(`before-${loss_fn}`, {}, signal);
    const sequences = await sample({ model_path: path }, { temperature: 1 });
    const data = sequences.map(({ tokens, logprobs }, index) => {
      const full = [...prompt, ...tokens];
      const targets = full.length - 1;
      const before = new Array(prompt.length - 1).fill(0);
      const advantage = index === 0 ? 1 : -1;
      const tensor = (values: number[]) => ({ data: values, dtype: 'float32' as const, shape: [targets] });
      return {
        model_input: encodedText(full.slice(0, -1)),
        loss_fn_inputs: {
          target_tokens: { data: full.slice(1), dtype: 'int64' as const, shape: [targets] },
          logprobs: tensor([...before, ...(logprobs ?? [])]),
          advantages: tensor([...before, ...tokens.map(() => advantage)]),
        },
      };
    });
    const step = { ...adam, learning_rate: 1e-3 };
    const { output, metrics } = await model.step({ data, loss_fn }, step, signal);
    // What the sampler said is what the trainer computes.
    for (const [index, { logprobs: sampled }] of sequences.entries())
      expect(output.loss_fn_outputs[index]?.logprobs.data.slice(prompt.length - 1)).toEqual(close(sampled ?? []));
    expect(metrics['skyrl.ai/grad_norm']).toBeGreaterThan(0);
    const after = await model.forward({ data, loss_fn: 'cross_entropy' }, signal);
    const gain = (index: number) => sum(logprobs(after)[index] ?? []) - sum(logprobs(output)[index] ?? []);
    expect(gain(0)).toBeGreaterThan(gain(1));
  });

  it('samples: a seed repeats, other seeds do not; stops and log-probabilities', async () => {
    const path = await model.saveWeightsForSampler('samples', {}, signal);
    const first = await sample({ model_path: path });
    expect(await sample({ model_path: path })).toEqual(first);
    expect(first[0]?.tokens).not.toEqual(first[1]?.tokens);
    expect(await sample({ model_path: path }, { seed: 8 })).not.toEqual(first);
    for (const { tokens, logprobs, stop_reason } of first) {
      expect(stop_reason).toBe('length');
      expect([tokens.length, logprobs?.length]).toEqual([8, 8]);
    }

    // A stop token ends the answer and is kept.
    const tokens = first[0]?.tokens ?? [];
    const stop = tokens[2] as number;
    const [stopped] = await sample({ model_path: path }, { stop: [stop] });
    expect(stopped).toMatchObject({ tokens: tokens.slice(0, tokens.indexOf(stop) + 1), stop_reason: 'stop' });

    const greedy = await sample({ base_model: skyrlModel }, { temperature: 0 });
    expect(greedy[0]?.tokens).toEqual(greedy[1]?.tokens);
  });

  it('refuses seeds above 31 bits', async () => {
    await expect(sample({ base_model: skyrlModel }, { seed: 2 ** 31 })).rejects.toMatchObject({
      kind: 'fatal',
      message: expect.stringContaining('out of bounds for int32'),
    });
  });

  it('scores prompts as a pass does', async () => {
    const path = await model.saveWeightsForSampler('scores', {}, signal);
    const [first] = logprobs(await model.forward(input(), signal));
    expect(await promptLogprobs({ model_path: path })).toEqual([null, ...close(first ?? [])]);
    const asked = { base_model: skyrlModel, prompt: encodedText(prompt), num_samples: 1, topk_prompt_logprobs: 2 };
    const topk = client.sample({ ...asked, sampling_params: { max_tokens: 8 } }, signal);
    await expect(topk.then((pending) => pending.result())).rejects.toMatchObject({ kind: 'fatal', status: 400 });
  });

  it('keeps weights: listed, described, downloaded, deleted; names are taken once', async () => {
    const state = await model.saveWeights('kept', { ttlSeconds: 3600 }, signal);
    const sampler = await model.saveWeightsForSampler('kept', {}, signal);
    const run = model.modelId;
    expect([state, sampler]).toEqual([`tinker://${run}/weights/kept`, `tinker://${run}/sampler_weights/kept`]);
    const listed = (await client.runCheckpoints(run, signal)).map(({ tinker_path }) => tinker_path);
    expect(listed).toEqual(expect.arrayContaining([state, sampler]));
    const described = { base_model: skyrlModel, is_lora: true, lora_rank: loraRank };
    expect(await client.weightsInfo(state, signal)).toMatchObject(described);
    expect(await client.trainingRun(run, signal)).toMatchObject({ training_run_id: run, lora_rank: loraRank });
    expect(await client.modelInfo(run, signal)).toMatchObject({ model_id: run });
    await expect(model.saveWeights('kept', {}, signal)).rejects.toMatchObject({ kind: 'fatal', status: 409 });

    // A PEFT adapter.
    const files = readdirSync(await client.downloadCheckpoint(sampler, join(folder, 'downloads'), signal));
    expect(files).toEqual(expect.arrayContaining(['adapter_config.json', 'adapter_model.safetensors']));

    await expect(client.setCheckpointTtl(state, 3600, signal)).rejects.toSatisfy(isUnknownPath);
    await expect(client.publishCheckpoint(state, signal)).rejects.toSatisfy(isUnknownPath);
    await client.deleteCheckpoint(state, signal);
    await expect(client.weightsInfo(state, signal)).rejects.toMatchObject({ kind: 'lost', status: 404 });
    await expect((await newModel()).loadWeights(state, { optimizer: true }, signal)).rejects.toMatchObject({
      kind: 'lost',
      message: expect.stringContaining('Checkpoint not found'),
    });
  });

  it('gives ephemeral weights to sample from', async () => {
    const session = await model.publishForSampling(0, signal);
    expect(await client.sampler(session, signal)).toMatchObject({ base_model: skyrlModel });
    const named = await model.saveWeightsForSampler('named', {}, signal);
    const ephemeral = await sample({ sampling_session_id: session, seq_id: 0 });
    expect(ephemeral).toEqual(await sample({ model_path: named }));
  });

  it('executes a request once that is sent twice, and refuses its number for another one', async () => {
    const seqId = model.nextSeqId;
    const [first, second] = [
      await client.forwardBackward(model.modelId, seqId, input(), signal),
      await client.forwardBackward(model.modelId, seqId, input(), signal),
    ];
    expect(second.requestId).toBe(first.requestId);
    await first.result();
    const other = client.forwardBackward(model.modelId, seqId, input([...rows, [1, 2, 3]]), signal);
    await expect(other).rejects.toMatchObject({ kind: 'fatal', status: 409 });
    const step = client.optimStep(model.modelId, seqId, adam, signal);
    await expect(step).rejects.toMatchObject({ kind: 'fatal', status: 409 });
    model = trainingModel(client, { modelId: model.modelId, nextSeqId: seqId + 1 });
  });

  it('answers what it does not have or cannot do', async () => {
    const unknown = { model_path: `tinker://${model.modelId}/sampler_weights/unknown` };
    await expect(sample(unknown)).rejects.toMatchObject({ kind: 'lost', status: 404 });
    await expect(sample({ model_path: 'tinker://nobody/sampler_weights/x' })).rejects.toMatchObject({ kind: 'lost' });
    await expect(sample({ base_model: 'another' })).rejects.toMatchObject({ kind: 'fatal', status: 400 });
    const dro = model.forwardBackward({ ...input(), loss_fn: 'dro' }, signal);
    await expect(dro).rejects.toMatchObject({ kind: 'fatal', status: 422 });
    const late = model.loadWeights('tinker://x/weights/y', { optimizer: true }, signal);
    await expect(late).rejects.toMatchObject({ kind: 'fatal', status: 400 });
    await expect(client.modelInfo('nobody', signal)).rejects.toMatchObject({ kind: 'lost', status: 404 });
  });

  it('averages losses over rows; the trainer makes a sum over tokens of that', async () => {
    const trainer = tinkerTrainer({ baseUrl: server.baseUrl, timeoutMs: 180_000, loraRank }, {});
    const base = { id: 'base', step: 0, base: skyrlModel, trainerState: null };
    let live = await trainer.restore(base, { optimizer: true }, signal);
    // A learning rate of 0: every step sees the same weights.
    const still = { learningRate: 0, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0, gradClipNorm: 0 };
    const row = { tokens: [5, 6, 7, 8, 9], logprobs: [0, 0, -1, -1, -1], advantages: [0, 0, 1, 1, 1] };
    const gradient = async (data: (typeof row)[]) => {
      const done = await trainer.step(live, data, { name: 'importance_sampling' }, still, signal);
      live = done.live;
      return done.result.metrics['skyrl.ai/grad_norm'] as number;
    };
    const one = await gradient([row]);
    expect((await gradient([row, row])) / one).toBeCloseTo(2, 2);
    await trainer.release(live, signal);

    const fresh = await newModel();
    const norm = async (tokens: number[][]) =>
      (await fresh.step(input(tokens), { ...adam, learning_rate: 0 }, signal)).metrics['skyrl.ai/grad_norm'] as number;
    const [first] = rows as [number[]];
    expect((await norm([first, first])) / (await norm([first]))).toBeCloseTo(1, 2);
    await fresh.unload(signal);
  });

  it('samples saved weights from the model that saved them, as it is now', async () => {
    const trained = await newModel();
    await trained.step(input(), adam, signal);
    const path = await trained.saveWeightsForSampler('early', {}, signal);
    const early = await promptLogprobs({ model_path: path });
    await trained.step(input(), adam, signal);
    const [now] = logprobs(await trained.forward(input(), signal));
    // Not what was saved.
    expect(await promptLogprobs({ model_path: path })).toEqual([null, ...close(now ?? [])]);
    expect(early[1]).not.toBeCloseTo(now?.[0] as number, precision);
    await trained.unload(signal);
    await expect(sample({ model_path: path })).rejects.toMatchObject({ kind: 'lost' });
  });

  describe('weights that are served by a model of their own', () => {
    let path: string;
    let early: (number | null)[];
    let trained: TrainingModel;
    beforeAll(async () => {
      trained = await newModel();
      await trained.step(input(), adam, signal);
      await trained.saveWeights('early', {}, signal);
      path = await trained.saveWeightsForSampler('early', {}, signal);
      early = [null, ...(logprobs(await trained.forward(input(), signal))[0] ?? [])];
    });

    it('stay what they were, and leave the trained model alone', async () => {
      await trained.step(input(), adam, signal);
      const before = logprobs(await trained.forward(input(), signal));
      const serving = servingModels(client);
      const score = () => serving.through(path, (model_path) => promptLogprobs({ model_path }), signal);
      expect(await score()).toEqual(close(early));
      await trained.unload(signal);
      expect(await score()).toEqual(close(early));
      expect(before[0]?.[0]).not.toBeCloseTo(early[1] as number, precision);
    });

    it('are lost when their state is gone', async () => {
      const nowhere = path.replace('early', 'never');
      const asked = servingModels(client).through(nowhere, (model_path) => sample({ model_path }), signal);
      await expect(asked).rejects.toMatchObject({ kind: 'lost', status: 404 });
    });
  });

  it('is killed with its engine, started again, and goes on from a checkpoint', async () => {
    const before = await newModel();
    for (let step = 0; step < 3; step++) await before.step(input(), adam, signal);
    const state = await before.saveWeights('survivor', {}, signal);
    const sampler = await before.saveWeightsForSampler('survivor', {}, signal);
    const [scored] = logprobs(await before.forward(input(), signal));
    const next = await before.step(input(), adam, signal);
    const [stepped] = logprobs(await before.forward(input(), signal));
    const serving = servingModels(client);
    const score = () => serving.through(sampler, (model_path) => promptLogprobs({ model_path }), signal);
    expect(await score()).toEqual([null, ...close(scored ?? [])]);

    await server.kill();
    await expect(client.sessions({}, signal)).rejects.toMatchObject({ kind: 'retryable' });
    await server.restart();

    await expect(before.forward(input(), signal)).rejects.toMatchObject({ kind: 'lost' });
    const after = await newModel();
    await after.loadWeights(state, { optimizer: true }, signal);
    expect(logprobs(await after.forward(input(), signal))[0]).toEqual(close(scored ?? []));
    // The optimiser's moments came back too: the step after it is the step that was made before.
    const again = await after.step(input(), adam, signal);
    expect(logprobs(again.output)).toEqual(logprobs(next.output).map(close));
    expect(logprobs(await after.forward(input(), signal))[0]).toEqual(close(stepped ?? []));
    // So did what is sampled from.
    expect(await score()).toEqual([null, ...close(scored ?? [])]);
  });
});
