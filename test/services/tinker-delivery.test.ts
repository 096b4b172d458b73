import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodedText, type TinkerOptions, tinkerClient, trainingModel } from '../../src/services/tinker/index.ts';
import { type DoubleAnswer, fakeTime, type TinkerDouble, tinkerDouble } from './tinker-double.ts';

/** Which requests are sent again, when, and as what. */
let server: TinkerDouble;
let time: ReturnType<typeof fakeTime>;
const { signal } = new AbortController();
const future = '/retrieve_future';
const adam = { learning_rate: 1e-3, beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0, grad_clip_norm: 1 };
const input = {
  loss_fn: 'cross_entropy',
  data: [
    { model_input: encodedText([1, 2]), loss_fn_inputs: { weights: { data: [0, 1], dtype: 'float32' as const } } },
  ],
};
const sampleInput = { base_model: 'b', prompt: encodedText([1]), num_samples: 1, sampling_params: {} };
const gone: DoubleAnswer = { status: 410, json: { detail: 'promise expired' } };

beforeEach(async () => {
  server = await tinkerDouble();
  time = fakeTime();
});
afterEach(() => server.close());

const client = (options: Partial<TinkerOptions> = {}) =>
  tinkerClient({ baseUrl: server.baseUrl, service: 'the trainer', timeoutMs: 60_000, ...time, ...options });
const dedupes = { capabilities: { seqDedupe: 'dedupe' } } as const;
const sent = (path: string) => server.requests.filter((request) => request.path === path);
const keys = (path: string) => sent(path).map(({ headers }) => headers['x-idempotency-key']);

describe('a training request whose answer was lost', () => {
  it.each([{ drop: true }, { status: 502, text: 'bad gateway' }] as DoubleAnswer[])(
    'is sent again under its number where the server deduplicates: %j',
    async (answer) => {
      server.answer('/optim_step', answer, { json: { request_id: 'r1' } });
      const pending = await client(dedupes).optimStep('m', 3, adam, signal);
      expect(pending.requestId).toBe('r1');
      expect(sent('/optim_step').map(({ body }) => body.seq_id)).toEqual([3, 3]);
      expect(new Set(keys('/optim_step')).size).toBe(1);
      expect(time.sleeps).toEqual([500]);
    },
  );

  it.each(['conflict', 'none'] as const)('is ambiguous where the server would not (%s)', async (seqDedupe) => {
    server.answer('/optim_step', { drop: true });
    const submit = client({ capabilities: { seqDedupe } }).optimStep('m', 3, adam, signal);
    await expect(submit).rejects.toMatchObject({ kind: 'ambiguous', path: '/optim_step' });
    expect(sent('/optim_step')).toHaveLength(1);
  });

  it('is given up after four repetitions', async () => {
    server.answer('/optim_step', { drop: true });
    await expect(client(dedupes).optimStep('m', 3, adam, signal)).rejects.toMatchObject({ kind: 'ambiguous' });
    expect(time.sleeps).toEqual([500, 1000, 2000, 4000]);
  });

  it('makes a model never twice', async () => {
    server.answer('/create_model', { drop: true });
    const model = { sessionId: 's', modelSeqId: 0, baseModel: 'b', lora: null };
    await expect(client(dedupes).createModel(model, signal)).rejects.toMatchObject({ kind: 'ambiguous' });
    expect(sent('/create_model')).toHaveLength(1);
  });
});

describe('a save whose answer was lost', () => {
  const saves = { capabilities: { saveConflictMeansDone: true } } as const;
  const listed = (...names: string[]) => ({
    json: { checkpoints: names.map((name) => ({ checkpoint_id: name, tinker_path: `tinker://m/weights/${name}` })) },
  });

  it('was done when its repetition meets its name, once that is listed', async () => {
    server.answer('/save_weights', { drop: true }, { status: 409, json: { detail: "Checkpoint 'a' already exists" } });
    server.answer('/training_runs/m/checkpoints', listed(), listed('b', 'a'));
    const pending = await client(saves).saveWeights('m', 2, 'a', undefined, signal);
    expect(await pending.result()).toEqual({ path: 'tinker://m/weights/a' });
    expect(sent('/training_runs/m/checkpoints')).toHaveLength(2);
  });

  it('is a conflict when it was not repeated: somebody else has that name', async () => {
    server.answer('/save_weights', { status: 409, json: { detail: 'already exists' } });
    const save = client(saves).saveWeights('m', 2, 'a', undefined, signal);
    await expect(save).rejects.toMatchObject({ kind: 'fatal', status: 409 });
  });

  it('is ambiguous when its name never appears', async () => {
    server.answer('/save_weights', { drop: true }, { status: 409, json: { detail: 'already exists' } });
    server.answer('/training_runs/m/checkpoints', listed());
    const save = client({ ...saves, timeoutMs: 3000 }).saveWeights('m', 2, 'a', undefined, signal);
    await expect(save).rejects.toMatchObject({ kind: 'ambiguous', timedOut: true });
  });
});

describe('a promise that the server has lost', () => {
  it('is asked for anew where that does no harm', async () => {
    server.answer(future, gone, { json: { sequences: [] } });
    expect(await (await client().sample(sampleInput, signal)).result()).toEqual({ sequences: [] });
    expect(sent('/asample')).toHaveLength(2);
    expect(new Set(keys('/asample')).size).toBe(2);
    expect(sent(future).map(({ body }) => body.request_id)).toEqual(['r1', 'r2']);
  });

  it('is lost after three more', async () => {
    server.answer(future, gone);
    const result = (await client().sample(sampleInput, signal)).result();
    await expect(result).rejects.toMatchObject({ kind: 'lost', status: 410, requestId: 'r4' });
  });

  it('is lost at once where its request may not be repeated', async () => {
    server.answer(future, gone);
    const result = (await client().optimStep('m', 1, adam, signal)).result();
    await expect(result).rejects.toMatchObject({ kind: 'lost', requestId: 'r1' });
    expect(sent('/optim_step')).toHaveLength(1);
  });
});

describe('a caller that gives up', () => {
  it('has its sampling ended, and leaves training alone', async () => {
    const caller = new AbortController();
    const pending = { json: { type: 'try_again', queue_state: 'active' } };
    server.answer(future, pending);
    const one = client();
    const results = [
      (await one.sample(sampleInput, caller.signal)).result(),
      (await one.optimStep('m', 1, adam, caller.signal)).result(),
    ];
    caller.abort(new Error('cancelled'));
    for (const result of results) await expect(result).rejects.toThrow('cancelled');
    await expect.poll(() => sent('/cancel_future').map(({ body }) => body)).toEqual([{ request_id: 'r1' }]);
  });
});

describe('a server that says whether to retry', () => {
  it.each([
    ['an overload that will not pass', { status: 429, headers: { 'x-should-retry': 'false' } }, 1],
    ['an error after which nothing was done', { status: 500, headers: { 'x-should-retry': 'true' } }, 2],
  ] as [string, DoubleAnswer, number][])('is believed: %s', async (_what, answer, tries) => {
    server.answer('/optim_step', answer, { json: { request_id: 'r' } });
    await client()
      .optimStep('m', 1, adam, signal)
      .catch(() => {});
    expect(sent('/optim_step')).toHaveLength(tries);
  });
});

describe('a bill that is not paid', () => {
  it('is waited for no longer than the server says', async () => {
    server.answer('/optim_step', { status: 402 });
    const submit = client({ maxBillingPauseMs: 12_000 }).optimStep('m', 1, adam, signal);
    await expect(submit).rejects.toMatchObject({ kind: 'paused', status: 402 });
    expect(time.sleeps).toEqual([5000, 5000]);
  });
});

describe('a result', () => {
  it('too large for its first answer is asked for whole', async () => {
    server.answer(future, { json: { status: 'complete_metadata', response_payload_size: 9 } }, { json: { path: 'p' } });
    expect(await (await client().saveWeights('m', 1, 'a', undefined, signal)).result()).toEqual({ path: 'p' });
    expect(sent(future)[1]?.body).toEqual({ request_id: 'r1', allow_metadata_only: false });
  });

  it.each([
    ['fatal', { status: 400, json: { type: 'RequestFailedResponse', error_message: 'bad loss', category: 'user' } }],
    [
      'retryable',
      { status: 400, json: { type: 'RequestFailedResponse', error_message: 'x', category: 'server_error' } },
    ],
    ['lost', { status: 400, json: { type: 'RequestFailedResponse', error_message: 'Future not found' } }],
    ['fatal', { json: { error: 'bad loss', category: 'User' } }],
    ['retryable', { json: { type: 'RequestFailedResponse', error_message: 'out of memory' } }],
  ] as [string, DoubleAnswer][])('that failed is %s however it is worded: %j', async (kind, answer) => {
    server.answer(future, answer);
    const result = (await client().optimStep('m', 1, adam, signal)).result();
    await expect(result).rejects.toMatchObject({ kind, requestId: 'r1' });
  });

  it('names weights in one way, with their kind', async () => {
    server.answer(future, { json: { path: 'tinker://m/a' } }, { json: { path: 'tinker://m/sampler_weights/a' } });
    const save = async () => (await client().saveWeightsForSampler('m', 1, 'a', signal)).result();
    const path = 'tinker://m/sampler_weights/a';
    expect([await save(), await save()]).toEqual([{ path }, { path }]);
  });

  it.each([[[null, -1, -2]], [[-1, -2]]])(
    'has a log-probability for every prompt token: %j',
    async (prompt_logprobs) => {
      server.answer(future, { json: { sequences: [], prompt_logprobs } });
      const prompt = encodedText([5, 6, 7]);
      expect(await client().computeLogprobs({ base_model: 'b' }, prompt, signal)).toEqual([null, -1, -2]);
      expect(sent('/asample')[0]?.body).toMatchObject({ prompt_logprobs: true, sampling_params: { max_tokens: 1 } });
    },
  );

  it('of an earlier promise can be fetched', async () => {
    server.answer(future, { json: { path: 'p' } });
    const type = { path: '/save_weights', type: 'save_weights' };
    expect(await client().transport.retrieve('r9', type, signal)).toEqual({ path: 'p' });
    expect(sent(future)[0]?.body).toEqual({ request_id: 'r9' });
  });
});

describe('a server of protobuf', () => {
  const output = { headers: { 'content-type': 'application/x-protobuf' }, bytes: golden('forward_backward_output') };

  it('is found out by its refusal of JSON, and remembered', async () => {
    server.answer('/forward_backward', { status: 415 }, { json: { request_id: 'r1' } });
    server.answer(future, output);
    const learning = client();
    const pending = await learning.forwardBackward('m', 1, input, signal);
    expect((await pending.result()).metrics).toEqual({ 'loss:sum': 1.5 });
    await learning.forwardBackward('m', 2, input, signal);
    const types = sent('/forward_backward').map(({ headers }) => headers['content-type']);
    expect(types).toEqual(['application/json', 'application/x-protobuf', 'application/x-protobuf']);
    expect(sent(future)[0]?.headers.accept).toContain('application/x-protobuf');
  });

  it('may send it unasked', async () => {
    server.answer(future, { ...output, bytes: golden('sample_response') });
    const { sequences } = await (await client().sample(sampleInput, signal)).result();
    expect(sequences.map(({ tokens }) => tokens)).toEqual([[5, 6], [7]]);
    expect(sent(future)[0]?.headers.accept).toBe('application/json');
  });
});

function golden(name: string): Uint8Array {
  return Buffer.from(JSON.parse(readFileSync('test/fixtures/tinker/golden.json', 'utf8'))[name], 'hex');
}

describe('a model', () => {
  const model = (options: Partial<TinkerOptions> = {}) => trainingModel(client(options), { modelId: 'm' });

  it('numbers its requests in the order of the calls, and sends one after the other', async () => {
    server.answer(future, { json: { path: 'p', metrics: {}, loss_fn_outputs: [] } });
    const one = model();
    await Promise.all([
      one.forwardBackward(input, signal),
      one.optimStep(adam, signal),
      one.saveWeights('a', {}, signal),
      one.saveWeightsForSampler('b', { ttlSeconds: 60 }, signal),
    ]);
    const requests = server.requests.filter(({ path }) => path !== future);
    expect(requests.map(({ path, body }) => [path, body.seq_id])).toEqual([
      ['/forward_backward', 1],
      ['/optim_step', 2],
      ['/save_weights', 3],
      ['/save_weights_for_sampler', 4],
    ]);
    expect(one.nextSeqId).toBe(5);
  });

  it('gives the number of a refused request to the next one', async () => {
    server.answer('/optim_step', { status: 422, json: { detail: 'lr' } }, { json: { request_id: 'r' } });
    const one = model();
    await expect(one.optimStep(adam, signal)).rejects.toMatchObject({ kind: 'fatal' });
    await one.optimStep(adam, signal);
    expect(sent('/optim_step').map(({ body }) => body.seq_id)).toEqual([1, 1]);
  });

  it('takes no further request once one of them is in doubt', async () => {
    server.answer('/optim_step', { drop: true });
    const one = model();
    await expect(one.optimStep(adam, signal)).rejects.toMatchObject({ kind: 'ambiguous' });
    await expect(one.saveWeights('a', {}, signal)).rejects.toThrow(/model m is in doubt.*load the last checkpoint/);
    expect(sent('/save_weights')).toHaveLength(0);
  });

  it('is in doubt after a step that failed when part of it was accepted', async () => {
    server.answer('/optim_step', { status: 400, json: { detail: 'lr' } });
    const one = model();
    await expect(one.step(input, adam, signal)).rejects.toMatchObject({ kind: 'fatal' });
    await expect(one.saveWeights('a', {}, signal)).rejects.toMatchObject({ kind: 'ambiguous' });
  });

  it('looks at a batch of any size without training on it', async () => {
    server.answer(future, { json: { loss_fn_outputs: [{}], metrics: { 'loss:sum': 2 } } });
    const one = model({ limits: { maxDatums: 1 } });
    const output = await one.forward({ ...input, data: [...input.data, ...input.data] }, signal);
    expect(output).toEqual({ loss_fn_outputs: [{}, {}], metrics: { 'loss:sum': 4 } });
    expect(sent('/forward').map(({ body }) => body.seq_id)).toEqual([1, 2]);
  });
});
