import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from 'tar';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Checkpoint } from '../../src/core/checkpoint.ts';
import type { Capabilities, ForwardBackwardInput } from '../../src/services/tinker/index.ts';
import { tinkerTrainer } from '../../src/services/trainer/tinker.ts';
import type { AdamParams, Datum, LiveModel } from '../../src/services/trainer/trainer.ts';
import { type DoubleAnswer, fakeTime, type TinkerDouble, tinkerDouble } from './tinker-double.ts';

const { signal } = new AbortController();
const base: Checkpoint = { id: 'base', step: 0, base: 'b', trainerState: null };
const trained: Checkpoint = { ...base, id: 'k/step-1', step: 1, trainerState: 'tinker://run/weights/a' };
const live: LiveModel = { modelId: 'm', nextSeqId: 4, checkpointId: 'k/step-1' };
const adam: AdamParams = { learningRate: 1e-3, beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1, gradClipNorm: 1 };
const crossEntropy = { name: 'cross_entropy' } as const;
const row: Datum = { tokens: [13, 27, 4], weights: [0, 0, 0.5] };
const future = '/retrieve_future';

let server: TinkerDouble;
const trainer = (loraRank: number | null = null) =>
  tinkerTrainer({ baseUrl: { env: 'URL' }, timeoutMs: 5000, loraRank }, { URL: server.baseUrl }, fakeTime());
const knownTrainer = (capabilities: Partial<Capabilities>) =>
  tinkerTrainer({ baseUrl: server.baseUrl, timeoutMs: 5000, loraRank: 8, capabilities }, {}, fakeTime());
const bodies = (path: string) => server.requests.filter((request) => request.path === path).map(({ body }) => body);
const logprobs = (...data: number[]) => ({ logprobs: { data, dtype: 'float32' } });

beforeEach(async () => {
  server = await tinkerDouble();
  server.answer('/create_session', { json: { session_id: 's1' } }, { json: { session_id: 's2' } });
});
afterEach(() => server.close());

describe('a Tinker trainer restores', () => {
  it('the base as a new model', async () => {
    server.answer(future, { json: { model_id: 'm' } });
    const restored = await trainer().restore(base, { optimizer: true }, signal);
    expect(restored).toEqual({ modelId: 'm', nextSeqId: 1, checkpointId: 'base' });
    // The server is asked what it can once, before anything else.
    const asked = ['/get_server_capabilities', '/client/config', '/openapi.json'];
    expect(server.paths()).toEqual([...asked, '/create_session', '/create_model', future]);
    expect(bodies('/create_model')[0]).toMatchObject({ session_id: 's1', model_seq_id: 0, base_model: 'b' });
  });

  it.each([true, false])('a checkpoint as the first request of a new model (optimizer: %s)', async (optimizer) => {
    server.answer(future, { json: { model_id: 'm' } });
    const restored = await trainer(8).restore(trained, { optimizer }, signal);
    expect(restored).toEqual({ modelId: 'm', nextSeqId: 2, checkpointId: 'k/step-1' });
    expect(bodies('/create_model')[0]).toMatchObject({ lora_config: { rank: 8, seed: 1 } });
    expect(bodies('/load_weights')[0]).toMatchObject({
      model_id: 'm',
      seq_id: 1,
      path: trained.trainerState,
      optimizer,
    });
  });

  it('a model whose output layer has no adapter, where that is configured', async () => {
    server.answer(future, { json: { model_id: 'm' } });
    const config = { baseUrl: server.baseUrl, timeoutMs: 5000, loraRank: 8, loraUnembed: false };
    await tinkerTrainer(config, {}, fakeTime()).restore(base, { optimizer: true }, signal);
    expect(bodies('/create_model')[0]).toMatchObject({ lora_config: { rank: 8, train_unembed: false } });
  });

  it('a new model every time, in one session', async () => {
    server.answer(future, { json: { model_id: 'm' } });
    const one = trainer();
    await Promise.all([1, 2, 3].map(() => one.restore(base, { optimizer: true }, signal)));
    expect(bodies('/create_session')).toHaveLength(1);
    expect(bodies('/create_model').map((body) => body.model_seq_id)).toEqual([0, 1, 2]);
  });

  it('in a new session once the server has forgotten the old one', async () => {
    server.answer(
      '/create_model',
      { status: 404, json: { detail: 'Session s1 is unknown' } },
      { json: { request_id: 'r' } },
    );
    server.answer(future, { json: { model_id: 'm' } });
    const one = trainer();
    await expect(one.restore(base, { optimizer: true }, signal)).rejects.toMatchObject({ kind: 'lost' });
    await one.restore(base, { optimizer: true }, signal);
    expect(bodies('/create_model').map((body) => body.session_id)).toEqual(['s1', 's2']);
  });

  it('nothing of a checkpoint that is gone, and leaves no model behind', async () => {
    server.answer(future, { json: { model_id: 'm' } });
    server.answer('/load_weights', { status: 404, json: { detail: 'Checkpoint does not exist' } });
    await expect(trainer().restore(trained, { optimizer: true }, signal)).rejects.toMatchObject({ kind: 'expired' });
    expect(bodies('/unload_model')).toMatchObject([{ model_id: 'm' }]);
  });

  it.each([
    [{ status: 404, json: { detail: 'Model m is not loaded' } }],
    [{ status: 410, json: { detail: 'unknown promise' } }],
  ])('and tells an expired checkpoint from a model that the server has lost: %j', async (answer) => {
    server.answer(future, { json: { model_id: 'm' } });
    server.answer('/load_weights', answer);
    await expect(trainer().restore(trained, { optimizer: true }, signal)).rejects.toMatchObject({ kind: 'lost' });
  });

  it('and knows that a checkpoint is gone from a promise that failed, too', async () => {
    server.answer(
      future,
      { json: { model_id: 'm' } },
      { json: { error: 'Checkpoint tinker://x does not exist (or expired)', category: 'user' } },
    );
    await expect(trainer().restore(trained, { optimizer: true }, signal)).rejects.toMatchObject({ kind: 'expired' });
  });
});

describe('a Tinker trainer steps', () => {
  const answer = (...outputs: object[]) =>
    server.answer(
      future,
      { json: { loss_fn_outputs: outputs, metrics: { 'loss:sum': 2 } } },
      {
        json: { metrics: { 'grad_norm:mean': 3 } },
      },
    );

  it('with inputs and targets shifted by one token', async () => {
    answer(logprobs(-1, -2));
    const { live: after, result } = await trainer().step(live, [row], crossEntropy, adam, signal);
    expect(bodies('/forward_backward')[0]).toEqual({
      model_id: 'm',
      seq_id: 4,
      forward_backward_input: {
        loss_fn: 'cross_entropy',
        data: [
          {
            model_input: { chunks: [{ type: 'encoded_text', tokens: [13, 27] }] },
            loss_fn_inputs: {
              target_tokens: { data: [27, 4], dtype: 'int64', shape: [2] },
              weights: { data: [0, 0.5], dtype: 'float32', shape: [2] },
            },
          },
        ],
      },
      type: 'forward_backward',
    });
    expect(bodies('/optim_step')[0]).toMatchObject({
      seq_id: 5,
      adam_params: { learning_rate: 1e-3, beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1, grad_clip_norm: 1 },
    });
    expect(after).toEqual({ ...live, nextSeqId: 6 });
    expect(result).toEqual({ loss: 2, logprobs: [[0, -1, -2]], metrics: { 'loss:sum': 2, 'grad_norm:mean': 3 } });
  });

  it('with advantages and the log-probabilities of the sampler', async () => {
    answer(logprobs(-1, -2));
    const rollout: Datum = { tokens: [13, 27, 4], logprobs: [0, 0, -2], advantages: [0, 0, 0.5] };
    const ppo = { name: 'ppo', config: { clip_low_threshold: 0.8 } } as const;
    await trainer().step(live, [rollout], ppo, adam, signal);
    expect(bodies('/forward_backward')[0]?.forward_backward_input).toMatchObject({
      loss_fn: 'ppo',
      loss_fn_config: { clip_low_threshold: 0.8 },
      data: [{ loss_fn_inputs: { logprobs: { data: [0, -2] }, advantages: { data: [0, 0.5] } } }],
    });
  });

  it.each([
    [crossEntropy, row, 1],
    [
      { name: 'importance_sampling' } as const,
      { tokens: [1, 2, 3], logprobs: [0, 0, -1], advantages: [0, 0, 2] },
      -2 * Math.exp(-1),
    ],
    [{ name: 'ppo' } as const, { tokens: [1, 2, 3], logprobs: [0, 0, -1], advantages: [0, 0, -2] }, 2 * 0.8],
  ])('and computes the loss %j itself where the service reports none', async (loss, datum, expected) => {
    server.answer(future, { json: { loss_fn_outputs: [logprobs(-1, -2)], metrics: {} } });
    const { result } = await trainer().step(live, [datum], loss, adam, signal);
    expect(result.loss).toBeCloseTo(expected, 12);
  });

  it('so that the loss is a sum over tokens, also where the server averages over targets and rows', async () => {
    answer(logprobs(-1, -2), logprobs(-1));
    const policy = { name: 'importance_sampling' } as const;
    const data: Datum[] = [
      { tokens: [1, 2, 3], logprobs: [0, 0, -1], advantages: [0, 0, 0.5] },
      { tokens: [1, 2], logprobs: [0, -1], advantages: [0, -1] },
    ];
    const averaging = knownTrainer({ lossReduction: 'row-mean' });
    await averaging.step(live, data, policy, adam, signal);
    const sent = bodies('/forward_backward')[0]?.forward_backward_input as ForwardBackwardInput;
    // Times the targets of the row, and the rows.
    const advantages = sent.data.map((datum) => datum.loss_fn_inputs.advantages?.data);
    expect(advantages).toEqual([[0, 0.5 * 2 * 2], [-1 * 1 * 2]]);
  });

  it('only on rows that describe every token', async () => {
    const bad: Datum[] = [{ tokens: [1, 2, 3] }, { tokens: [1, 2, 3], weights: [1] }, { tokens: [1], weights: [1] }];
    for (const datum of bad) {
      const step = trainer().step(live, [datum], crossEntropy, adam, signal);
      await expect(step).rejects.toMatchObject({ kind: 'fatal', message: expect.stringContaining('for each of') });
    }
    expect(server.requests).toEqual([]);
  });

  it('and refuses an answer that does not describe every token', async () => {
    answer(logprobs(-1));
    const step = trainer().step(live, [row], crossEntropy, adam, signal);
    await expect(step).rejects.toThrow(/expected 2 log-probabilities for a row, got 1/);
  });
});

describe('a Tinker trainer looks at data without training on them', () => {
  it('as the next request of the model', async () => {
    server.answer(future, { json: { loss_fn_outputs: [logprobs(-1, -2)], metrics: {} } });
    const seen = await trainer().forward(live, [row], signal);
    expect(seen).toEqual({ live: { ...live, nextSeqId: 5 }, logprobs: [[0, -1, -2]] });
    expect(bodies('/forward')[0]).toMatchObject({
      model_id: 'm',
      seq_id: 4,
      forward_input: { loss_fn: 'cross_entropy', data: [{ model_input: { chunks: [{ tokens: [13, 27] }] } }] },
    });
  });

  it('where the service can: a request that it does not know takes no place in the order', async () => {
    server.answer('/forward', { status: 404, json: { detail: 'Not Found' } });
    expect(await trainer().forward(live, [row], signal)).toEqual({ live, logprobs: null });
  });

  it('where the service can: a request that failed has taken its place', async () => {
    server.answer(future, { json: { error: 'forward is not supported', category: 'user' } });
    const seen = await trainer().forward(live, [row], signal);
    expect(seen).toEqual({ live: { ...live, nextSeqId: 5 }, logprobs: null });
  });

  it('and says so when it has lost the model', async () => {
    server.answer('/forward', { status: 404, json: { detail: 'Model m is not loaded' } });
    await expect(trainer().forward(live, [row], signal)).rejects.toMatchObject({ kind: 'lost' });
  });
});

describe('a Tinker trainer saves', () => {
  it('under names that a path can hold, counting its requests', async () => {
    server.answer(future, { json: { path: 'tinker://m/weights/x' } });
    const saved = await trainer().save(live, 'k/step-2/attempt 1', { ttlSeconds: 60 }, signal);
    expect(saved).toEqual({ live: { ...live, nextSeqId: 5 }, trainerState: 'tinker://m/weights/x' });
    expect(bodies('/save_weights')[0]).toMatchObject({ seq_id: 4, path: 'k-step-2-attempt-1', ttl_seconds: 60 });
    const published = await trainer().saveForSampler(saved.live, 'k/step-2', signal);
    expect(published).toEqual({ live: { ...live, nextSeqId: 6 }, samplerModel: 'tinker://m/weights/x' });
    expect(bodies('/save_weights_for_sampler')[0]).toMatchObject({ seq_id: 5, path: 'k-step-2' });
  });
});

describe('a Tinker trainer saves for a sampler', () => {
  it('also the state, where saved weights are sampled from a model that was made from it', async () => {
    server.answer(future, { json: { path: 'tinker://m/weights/a-1' } }, { json: { path: 'tinker://m/a-1' } });
    const saved = await knownTrainer({ samplerWeights: 'live' }).saveForSampler(live, 'a/1', signal);
    expect(saved).toEqual({ live: { ...live, nextSeqId: 6 }, samplerModel: 'tinker://m/sampler_weights/a-1' });
    expect(bodies('/save_weights')).toMatchObject([{ seq_id: 4, path: 'a-1' }]);
    expect(bodies('/save_weights_for_sampler')).toMatchObject([{ seq_id: 5, path: 'a-1' }]);
  });
});

describe('a Tinker trainer brings weights', () => {
  const weights = 'tinker://run/sampler_weights/a';
  const archive = '/training_runs/run/checkpoints/sampler_weights/a/archive';
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'weights-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('into a folder of their own, once', async () => {
    await writeFile(join(folder, 'adapter_config.json'), '{}');
    const bytes = create({ cwd: folder, sync: true, portable: true }, ['adapter_config.json']).read() as Uint8Array;
    server.answer(archive, { status: 302, headers: { location: '/download' } });
    server.answer('/download', { bytes });
    const one = trainer();
    const fetched = await one.fetchWeights(weights, folder, signal);
    expect(await readdir(fetched)).toEqual(['adapter_config.json']);
    expect(await one.fetchWeights(weights, folder, signal)).toBe(fetched);
    expect(server.paths().filter((path) => path === '/download')).toHaveLength(1);
  });

  it.each([
    ['fatal', { status: 404, json: { detail: 'Not Found' } }, /gives no archive/],
    ['expired', { status: 404, json: { detail: 'Checkpoint a does not exist' } }, /does not exist/],
    ['fatal', { status: 403, json: { detail: 'not yours' } }, /not yours/],
  ] as [string, DoubleAnswer, RegExp][])('and is %s when the server answers %j', async (kind, answer, message) => {
    server.answer(archive, answer);
    const fetched = trainer().fetchWeights(weights, folder, signal);
    await expect(fetched).rejects.toMatchObject({
      name: 'ServiceError',
      kind,
      message: expect.stringMatching(message),
    });
  });
});

describe('a Tinker trainer asks a server what it can', () => {
  const asked = () => bodies('/get_server_capabilities').length;

  it('once, and again where the address has moved', async () => {
    const env = { URL: server.baseUrl };
    const one = tinkerTrainer({ baseUrl: { env: 'URL' }, timeoutMs: 5000, loraRank: null }, env, fakeTime());
    server.answer(future, { json: { path: 'tinker://m/weights/x' } });
    await Promise.all([one.save(live, 'a', {}, signal), one.save(live, 'b', {}, signal)]);
    expect(asked()).toBe(1);
    const elsewhere = await tinkerDouble();
    elsewhere.answer(future, { json: { path: 'tinker://m/weights/x' } });
    env.URL = elsewhere.baseUrl;
    await one.save(live, 'c', {}, signal);
    expect(elsewhere.paths()).toContain('/get_server_capabilities');
    await elsewhere.close();
  });

  it('again after it could not be told', async () => {
    server.answer('/get_server_capabilities', { status: 401, json: { detail: 'key' } }, { json: {} });
    server.answer(future, { json: { path: 'tinker://m/weights/x' } });
    const one = trainer();
    await expect(one.save(live, 'a', {}, signal)).rejects.toMatchObject({ kind: 'fatal', status: 401 });
    await one.save(live, 'a', {}, signal);
    expect(asked()).toBe(2);
  });

  it('and does not send what it cannot do', async () => {
    const config = { baseUrl: server.baseUrl, timeoutMs: 5000, loraRank: 8, capabilities: { forward: false } };
    const seen = await tinkerTrainer(config, {}, fakeTime()).forward(live, [row], signal);
    expect(seen).toEqual({ live, logprobs: null });
    expect(server.paths()).not.toContain('/forward');
  });
});

describe('a Tinker trainer releases', () => {
  it('a model also after a cancellation, and never fails', async () => {
    const cancelled = AbortSignal.abort();
    await trainer().release(live, cancelled);
    expect(bodies('/unload_model')).toMatchObject([{ model_id: 'm' }]);
    server.answer('/unload_model', { status: 404 });
    await trainer().release(live, signal);
    await tinkerTrainer({ baseUrl: { env: 'GONE' }, timeoutMs: 1, loraRank: null }, {}).release(live, signal);
  });
});
