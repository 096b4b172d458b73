import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { chunk, combine } from '../../src/services/tinker/batch.ts';
import {
  encodedText,
  type ForwardBackwardOutput,
  type TinkerErrorKind,
  type TinkerOptions,
  tinkerClient,
  trainingModel,
} from '../../src/services/tinker/index.ts';
import { type DoubleAnswer, fakeTime, type TinkerDouble, tinkerDouble } from './tinker-double.ts';

let server: TinkerDouble;
let time: ReturnType<typeof fakeTime>;
const { signal } = new AbortController();

beforeEach(async () => {
  server = await tinkerDouble();
  time = fakeTime();
});
afterEach(() => server.close());

const client = (options: Partial<TinkerOptions> = {}) =>
  tinkerClient({
    baseUrl: server.baseUrl,
    service: 'the trainer',
    hint: 'start it',
    timeoutMs: 60_000,
    now: time.now,
    sleep: time.sleep,
    ...options,
  });

const adam = { learning_rate: 1e-3, beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0, grad_clip_norm: 1 };
const future = '/retrieve_future';
const save = async () => (await client().saveWeights('m', 3, 'a', undefined, signal)).result();
const tryAgain = { json: { type: 'try_again', request_id: 'r1', queue_state: 'active' } };
const done = { json: { path: 'tinker://m/weights/a' } };

describe('submitting a request', () => {
  it('names the model, its place in the order, and the key', async () => {
    await client({ apiKey: 'tml-x' }).loadWeights('m', 1, 'tinker://m/weights/a', true, signal);
    expect(server.requests[0]).toMatchObject({
      path: '/load_weights',
      headers: { 'x-api-key': 'tml-x', 'content-type': 'application/json' },
      body: { model_id: 'm', seq_id: 1, path: 'tinker://m/weights/a', optimizer: true, type: 'load_weights' },
    });
  });

  it('opens a session, keeps it alive, and asks what the server is', async () => {
    server.answer('/create_session', { json: { session_id: 's', info_message: 'hello' } });
    server.answer('/get_server_capabilities', { json: { supported_models: [{ model_name: 'b' }] } });
    server.answer('/healthz', { json: { status: 'ok' } });
    server.answer('/session_heartbeat', { json: { type: 'session_heartbeat' } });
    expect(await client().createSession(signal)).toBe('s');
    await client().heartbeat('s', signal);
    expect(await client().health(signal)).toEqual({ status: 'ok' });
    expect((await client().capabilities(signal)).supported_models).toEqual([{ model_name: 'b' }]);
    expect(server.requests[1]?.body).toEqual({ session_id: 's', type: 'session_heartbeat' });
  });

  it('leaves out what is not set', async () => {
    await client().createModel({ sessionId: 's', modelSeqId: 0, baseModel: 'b', lora: null }, signal);
    const body = { session_id: 's', model_seq_id: 0, base_model: 'b', type: 'create_model' };
    expect(server.requests[0]?.body).toEqual(body);
  });

  it.each([
    ['fatal', '/optim_step', { status: 400, json: { detail: 'lr must be positive' } }, /lr must be positive/],
    ['fatal', '/optim_step', { status: 401, json: { error: { message: 'bad key' } } }, /\(401\): bad key/],
    ['fatal', '/optim_step', { status: 403 }, /403/],
    ['fatal', '/optim_step', { status: 404, json: { detail: 'Not Found' } }, /404/],
    ['fatal', '/optim_step', { status: 409, json: { detail: 'sequence number was reused' } }, /reused/],
    ['fatal', '/optim_step', { status: 422, json: { detail: [{ loc: ['body'], msg: 'missing' }] } }, /missing/],
    ['fatal', '/optim_step', { text: '<html>' }, /is it a Tinker server/],
    ['lost', '/optim_step', { status: 400, json: { detail: 'Model m not loaded' } }, /not loaded/],
    ['lost', '/optim_step', { status: 404, json: { detail: "Model 'm' is unknown" } }, /unknown/],
    ['fatal', '/create_model', { status: 404, json: { detail: 'Model b does not exist' } }, /does not exist/],
    ['lost', '/create_model', { status: 404, json: { detail: 'Session s does not exist' } }, /Session s/],
    ['paused', '/create_model', { status: 400, json: { detail: 'Maximum number of LoRA adapters (4) reached' } }, /4/],
    ['ambiguous', '/optim_step', { status: 500, json: { detail: 'boom' } }, /boom/],
    ['ambiguous', '/optim_step', { drop: true }, /broke during \/optim_step/],
  ] as [TinkerErrorKind, string, DoubleAnswer, RegExp][])(
    'is %s when %s answers %j',
    async (kind, path, answer, message) => {
      server.answer(path, answer);
      const submit =
        path === '/create_model'
          ? client().createModel({ sessionId: 's', modelSeqId: 0, baseModel: 'b', lora: null }, signal)
          : client().optimStep('m', 1, adam, signal);
      await expect(submit).rejects.toMatchObject({ name: 'TinkerError', kind });
      await expect(submit).rejects.toThrow(message);
      // What may have been executed is never sent twice.
      expect(server.requests).toHaveLength(1);
    },
  );

  it('says how to start a service that is not there', async () => {
    await server.close();
    const submit = client().createSession(signal);
    await expect(submit).rejects.toMatchObject({ kind: 'retryable' });
    await expect(submit).rejects.toThrow(/the trainer at http.* is unreachable \(ECONNREFUSED\): start it/);
  });

  it('waits as long as an overloaded service asks', async () => {
    server.answer(
      '/optim_step',
      { status: 429, headers: { 'retry-after': '7' } },
      { status: 429, headers: { 'retry-after-ms': '250', 'retry-after': '9' } },
      { status: 503 },
      { json: { request_id: 'r1' } },
    );
    await expect(client().optimStep('m', 1, adam, signal)).resolves.toMatchObject({ requestId: 'r1' });
    expect(time.sleeps).toEqual([7000, 250, 2000]);
  });

  it('gives up at its deadline, passing on what the service asked for', async () => {
    server.answer('/optim_step', { status: 429, headers: { 'retry-after': '50' } });
    const submit = client().optimStep('m', 1, adam, signal);
    await expect(submit).rejects.toMatchObject({ kind: 'retryable', status: 429, retryAfterMs: 50_000 });
    expect(time.sleeps).toEqual([50_000]);
  });

  it('waits out a billing pause, then says that it is paused', async () => {
    server.answer('/optim_step', { status: 402, json: { detail: 'no credit' } });
    await expect(client().optimStep('m', 1, adam, signal)).rejects.toMatchObject({ kind: 'paused', status: 402 });
    expect(time.sleeps).toEqual(Array(11).fill(5000));
  });

  it('stops when the caller does', async () => {
    const caller = new AbortController();
    server.answer('/optim_step', { status: 429 });
    const submit = client({ sleep: async () => caller.abort(new Error('cancelled')) }).optimStep(
      'm',
      1,
      adam,
      caller.signal,
    );
    await expect(submit).rejects.toThrow('cancelled');
  });
});

describe('waiting for a result', () => {
  it('asks again while it is pending, and tells what the queue says', async () => {
    const paused = { json: { type: 'try_again', queue_state: 'paused_capacity', queue_state_reason: 'no GPU' } };
    server.answer(future, tryAgain, { status: 408, json: { detail: 'timeout' } }, paused, done);
    const states: unknown[] = [];
    const waiting = client({ onPending: (...state: unknown[]) => states.push(state) });
    const pending = await waiting.saveWeights('m', 3, 'a', 60, signal);
    expect(await pending.result()).toEqual(done.json);
    expect(states).toEqual([
      ['active', undefined],
      ['active', undefined],
      ['paused_capacity', 'no GPU'],
    ]);
    expect(server.requests.slice(1).map((request) => request.body)).toEqual(Array(4).fill({ request_id: 'r1' }));
  });

  it.each([
    ['lost', { status: 410, json: { detail: 'expired' } }],
    ['lost', { status: 404, json: { detail: 'no such request' } }],
    ['lost', { status: 400, json: { detail: 'Model m not loaded' } }],
    ['lost', { json: { error: "Model 'm' not loaded", category: 'user' } }],
    ['fatal', { status: 400, json: { type: 'RequestFailedResponse', error_message: 'bad loss' } }],
    ['fatal', { status: 401 }],
    ['fatal', { status: 403 }],
    ['fatal', { status: 409, json: { detail: 'name exists' } }],
    ['fatal', { status: 422 }],
    ['fatal', { json: { error: 'bad loss', category: 'user' } }],
    ['retryable', { json: { error: 'out of memory', category: 'server' } }],
    ['retryable', { json: { error: 'something', category: 'unknown' } }],
  ] as [TinkerErrorKind, DoubleAnswer][])('is %s after %j', async (kind, answer) => {
    server.answer(future, answer);
    await expect(save()).rejects.toMatchObject({ name: 'TinkerError', kind });
    expect(time.sleeps).toEqual([]);
  });

  it.each([
    ['a lost connection', { drop: true }, 500],
    ['an overload', { status: 429 }, 500],
    ['an overload that says for how long', { status: 429, headers: { 'retry-after': '3' } }, 3000],
    ['a server error', { status: 502, text: 'bad gateway' }, 500],
    ['a billing pause', { status: 402 }, 5000],
    ['a proxy that answers 400 without JSON', { status: 400, text: '<html>' }, 500],
  ] as [string, DoubleAnswer, number][])('survives %s', async (_what, answer, slept) => {
    server.answer(future, answer, done);
    expect(await save()).toEqual(done.json);
    expect(time.sleeps).toEqual([slept]);
  });

  it('takes a poll that timed out for one that is pending', async () => {
    server.answer(future, done);
    const timedOut = AbortSignal.abort(new DOMException('too slow', 'TimeoutError'));
    const pending = await client().saveWeights('m', 3, 'a', undefined, signal);
    const timeout = vi.spyOn(AbortSignal, 'timeout');
    for (let poll = 0; poll < 10; poll++) timeout.mockReturnValueOnce(timedOut);
    expect(await pending.result()).toEqual(done.json);
    expect(timeout).toHaveBeenCalledTimes(11);
    timeout.mockRestore();
  });

  it('backs off up to half a minute while the service is broken', async () => {
    server.answer(future, { status: 500 });
    const waiting = client({ timeoutMs: 200_000 });
    const result = (await waiting.saveWeights('m', 1, 'a', undefined, signal)).result();
    await expect(result).rejects.toMatchObject({ kind: 'ambiguous' });
    expect(time.sleeps).toEqual([500, 1000, 2000, 4000, 8000, 16_000, ...Array(5).fill(30_000)]);
  });

  it('gives up on a service that stays away', async () => {
    server.answer(future, { drop: true });
    await expect(save()).rejects.toMatchObject({ kind: 'ambiguous' });
    expect(time.sleeps).toEqual([500, 1000, 2000, 4000]);
  });

  it('believes the fourth bare 400', async () => {
    server.answer(future, { status: 400, text: '<html>' });
    await expect(save()).rejects.toMatchObject({ kind: 'fatal' });
    expect(time.sleeps).toHaveLength(3);
  });

  it('ends at the deadline, saying what the queue said', async () => {
    server.answer(future, tryAgain);
    await expect(save()).rejects.toMatchObject({ kind: 'pending', requestId: 'r1', timedOut: true });
    server.answer(future, { json: { type: 'try_again', queue_state: 'paused_rate_limit' } });
    await expect(save()).rejects.toThrow(/paused_rate_limit\); .* raise timeoutMs/);
    await expect(save()).rejects.toMatchObject({ kind: 'paused' });
  });

  it('stops when the caller does', async () => {
    const caller = new AbortController();
    server.answer(future, tryAgain);
    const waiting = client({ onPending: () => caller.abort(new Error('cancelled')) });
    const pending = await waiting.saveWeights('m', 1, 'a', undefined, caller.signal);
    await expect(pending.result()).rejects.toThrow('cancelled');
  });
});

const datum = (...tokens: number[]) => ({
  model_input: encodedText(tokens),
  loss_fn_inputs: { weights: { data: tokens.map(() => 1), dtype: 'float32' as const } },
});
const output = (logprob: number, metrics: Record<string, number>): ForwardBackwardOutput => ({
  loss_fn_outputs: [{ logprobs: { data: [logprob], dtype: 'float32' } }],
  metrics,
});

describe('a training step', () => {
  it('submits all parts in order before it waits for any', async () => {
    server.answer(
      future,
      { json: output(-1, { 'loss:sum': 2 }) },
      { json: output(-2, { 'loss:sum': 3 }) },
      {
        json: { metrics: { 'grad_norm:max': 1 } },
      },
    );
    const input = { data: [datum(1), datum(2)], loss_fn: 'cross_entropy' };
    const model = trainingModel(client({ limits: { maxDatums: 1 } }), { modelId: 'm', nextSeqId: 5 });
    const result = await model.step(input, adam, signal);
    expect(server.paths()).toEqual(['/forward_backward', '/forward_backward', '/optim_step', future, future, future]);
    expect(server.requests.slice(0, 3).map((request) => request.body.seq_id)).toEqual([5, 6, 7]);
    expect(model.nextSeqId).toBe(8);
    expect(result.metrics).toEqual({ 'grad_norm:max': 1 });
    expect(result.output.metrics).toEqual({ 'loss:sum': 5 });
    expect(result.output.loss_fn_outputs).toHaveLength(2);
  });

  it('fails with the error of the gradients, not with its echo in the optimiser', async () => {
    server.answer(
      future,
      { json: { error: 'loss is not finite', category: 'user' } },
      {
        json: { error: 'no gradient', category: 'user' },
      },
    );
    const model = trainingModel(client(), { modelId: 'm' });
    const step = model.step({ data: [datum(1)], loss_fn: 'cross_entropy' }, adam, signal);
    await expect(step).rejects.toThrow(/not finite/);
  });
});

describe('a batch larger than one request', () => {
  it('is split in order, within both limits', () => {
    fc.assert(
      fc.property(fc.array(fc.array(fc.nat(200), { minLength: 1 })), fc.integer({ min: 1, max: 9 }), (rows, most) => {
        const data = rows.map((row) => datum(...row));
        const limit = 400;
        const bytesOf = (row: object) => JSON.stringify(row).length;
        const chunks = chunk(data, { maxDatums: most, maxBytes: limit }, bytesOf);
        expect(chunks.flat()).toEqual(data);
        for (const part of chunks) {
          expect(part.length).toBeLessThanOrEqual(most);
          const bytes = part.reduce((sum, row) => sum + JSON.stringify(row).length, 0);
          expect(part.length === 1 || bytes <= limit).toBe(true);
        }
      }),
    );
  });

  it('combines metrics by the suffix of their names', () => {
    const one = output(-1, { 'a:sum': 1, 'b:mean': 1, 'c:min': 1, 'd:max': 1, 'e:odd': 1, 'f:odd': 1 });
    const two = output(-2, { 'a:sum': 2, 'b:mean': 4, 'c:min': 2, 'd:max': 2, 'e:odd': 2, 'f:odd': 1 });
    two.loss_fn_outputs.push(...output(-3, {}).loss_fn_outputs);
    const combined = combine([one, two]);
    expect(combined.metrics).toEqual({ 'a:sum': 3, 'b:mean': 3, 'c:min': 1, 'd:max': 2, 'f:odd': 1 });
    expect(combined.loss_fn_outputs.map(({ logprobs }) => logprobs.data[0])).toEqual([-1, -2, -3]);
  });
});
