import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ServiceError, ServiceErrorKind } from '../../src/services/errors.ts';
import { createGates } from '../../src/services/gate.ts';
import { tokenizerRenderer } from '../../src/services/renderer/tokenizer.ts';
import { openaiSampler } from '../../src/services/sampler/openai.ts';
import type { SampleRequest } from '../../src/services/sampler/sampler.ts';
import { tinkerSampler } from '../../src/services/sampler/tinker.ts';
import { type DoubleAnswer, fakeTime, type TinkerDouble, tinkerDouble } from './tinker-double.ts';

const renderer = tokenizerRenderer('test/fixtures/tokenizer');
const { signal } = new AbortController();
const request: SampleRequest = {
  callId: 'search/k/p/1/expand',
  attempt: 2,
  activity: 'run/7',
  model: 'tinker://run/sampler_weights/a',
  prompts: [
    { tokens: [13, 27], text: 'Use 4' },
    { tokens: [13, 28], text: 'Use 5' },
  ],
  n: 2,
  maxTokens: 8,
  temperature: 0.7,
  stops: ['\n'],
  keepStop: true,
  seed: 5,
  logprobs: 'required',
};

let server: TinkerDouble;
beforeEach(async () => {
  server = await tinkerDouble();
});
afterEach(() => server.close());

describe('an OpenAI sampler', () => {
  const config = { timeoutMs: 5000, prompts: 'tokens' } as const;
  const sampler = (path = '') =>
    openaiSampler(
      { ...config, baseUrl: `${server.baseUrl}${path}`, apiKey: { env: 'KEY' } },
      { KEY: 'secret' },
      renderer,
      { warn: () => {} },
    );
  const choice = (index: number, change = {}) => ({
    index,
    text: `${index}\n`,
    finish_reason: 'stop',
    token_ids: [23 + index, 3],
    logprobs: { token_logprobs: [-1, -0.5] },
    ...change,
  });
  const four = (change = {}) => ({ choices: [2, 0, 3, 1].map((index) => choice(index, change)) });
  const completions = '/v1/completions';

  it('asks for token ids, for the stop string and for the log-probability of what was sampled', async () => {
    server.answer(completions, { json: four() });
    await sampler().sample(request, signal);
    expect(server.requests[0]?.body).toEqual({
      model: 'tinker://run/sampler_weights/a',
      prompt: [
        [13, 27],
        [13, 28],
      ],
      n: 2,
      max_tokens: 8,
      temperature: 0.7,
      top_p: 1,
      seed: 5,
      stop: ['\n'],
      include_stop_str_in_output: true,
      logprobs: 0,
      return_token_ids: true,
    });
    expect(server.requests[0]?.headers).toMatchObject({
      authorization: 'Bearer secret',
      'x-astroflow-call': 'search/k/p/1/expand',
      'x-astroflow-attempt': '2',
      'x-astroflow-activity': 'run/7',
    });
  });

  it('asks for neither when neither is needed', async () => {
    server.answer(completions, { json: four({ logprobs: null }) });
    const result = await sampler().sample({ ...request, stops: [], logprobs: false }, signal);
    expect(server.requests[0]?.body).not.toHaveProperty('stop');
    expect(server.requests[0]?.body).not.toHaveProperty('logprobs');
    expect(result.completions[0]?.[0]).toEqual({ tokens: [23, 3], text: '0\n', stopReason: 'stop' });
  });

  it('sorts choices into prompts, whatever order they come in', async () => {
    server.answer(completions, { json: { ...four(), usage: { prompt_tokens: 4, completion_tokens: 9 } } });
    const result = await sampler().sample(request, signal);
    expect(result.completions.map((list) => list.map(({ text }) => text))).toEqual([
      ['0\n', '1\n'],
      ['2\n', '3\n'],
    ]);
    expect(result.completions[1]?.[0]).toEqual({
      tokens: [25, 3],
      text: '2\n',
      logprobs: [-1, -0.5],
      stopReason: 'stop',
    });
    expect(result).toMatchObject({ promptTokens: 4, completionTokens: 9 });
  });

  it('counts tokens itself where the service does not', async () => {
    server.answer(completions, { json: four() });
    expect(await sampler().sample(request, signal)).toMatchObject({ promptTokens: 4, completionTokens: 8 });
  });

  it('accepts an address that ends in /v1', async () => {
    server.answer(completions, { json: four() });
    await sampler('/v1/').sample(request, signal);
    expect(server.paths()).toEqual([completions]);
  });

  it.each([
    ['retryable', { status: 429, headers: { 'retry-after': '3' }, json: { error: { message: 'busy' } } }, /busy/],
    ['retryable', { status: 500 }, /500/],
    ['retryable', { status: 503, headers: { 'retry-after-ms': '3000' } }, /503/],
    ['retryable', { drop: true }, /unreachable .*astroflow up/],
    ['lost', { status: 404, json: { error: { message: 'The model `a` does not exist' } } }, /does not exist/],
    ['fatal', { status: 404, json: { detail: 'Not Found' } }, /404/],
    ['fatal', { status: 400, json: { error: { message: 'max_tokens is too large' } } }, /max_tokens is too large/],
    ['fatal', { status: 401, json: { error: { message: 'wrong key' } } }, /wrong key/],
    ['fatal', { status: 422, json: { detail: [{ loc: ['body', 'model'], msg: 'missing' }] } }, /missing/],
    ['retryable', { json: { choices: [] } }, /without any choice/],
    ['retryable', { text: '{"choices": [' }, /broke off its answer/],
    ['fatal', { json: four({ token_ids: undefined }) }, /without token ids/],
    ['retryable', { json: four({ finish_reason: 'abort' }) }, /"abort"/],
  ] as [ServiceErrorKind, DoubleAnswer, RegExp][])('is %s after %j', async (kind, answer, message) => {
    server.answer(completions, answer);
    const sampling = sampler().sample(request, signal);
    await expect(sampling).rejects.toMatchObject({ name: 'ServiceError', kind });
    await expect(sampling).rejects.toThrow(message);
    expect(server.requests).toHaveLength(1);
    if ('headers' in answer) await expect(sampling).rejects.toMatchObject({ retryAfterMs: 3000 });
  });

  it('never puts the key into an error', async () => {
    server.answer(completions, { status: 401, json: { error: { message: 'wrong key' } } });
    const error = await sampler()
      .sample(request, signal)
      .catch((caught: unknown) => caught);
    expect(String((error as ServiceError).message)).not.toContain('secret');
  });

  it('fails as the caller cancelled', async () => {
    const caller = new AbortController();
    caller.abort(new Error('cancelled'));
    await expect(sampler().sample(request, caller.signal)).rejects.toThrow('cancelled');
  });

  it('confirms a model that the server lists', async () => {
    const list = (...ids: string[]) => ({ json: { object: 'list', data: ids.map((id) => ({ id })) } });
    server.answer('/v1/models', list('base', request.model), list('base'));
    await sampler().confirm(request.model, signal);
    await expect(sampler().confirm(request.model, signal)).rejects.toMatchObject({ kind: 'lost' });
  });

  it('reads the journal of services that keep one', async () => {
    const path = '/astroflow/usage?prefix=search%2Fk%2F';
    server.answer(path, { json: { calls: 2, prompt_tokens: 9, completion_tokens: 7 } }, { status: 404 });
    expect(await sampler().served('search/k/', signal)).toEqual({ calls: 2, tokens: 7 });
    expect(await sampler().served('search/k/', signal)).toBeNull();
  });

  it('reads the journal call by call, page by page', async () => {
    const line = { call: 'search/k/p/0/expand-0', activity: 'run/7', attempt: 2, delivered: true };
    const page = { calls: [{ ...line, prompt_tokens: 9, completion_tokens: 7 }], next: 40 };
    server.answer('/astroflow/calls?prefix=search%2Fk%2F&after=0', { json: page }, { status: 404 }, { json: {} });
    server.answer('/astroflow/calls?prefix=search%2Fk%2F&after=40', { json: { calls: [], next: null } });
    const { call, ...by } = line;
    expect(await sampler().journal('search/k/', signal)).toEqual([
      { id: call, ...by, promptTokens: 9, completionTokens: 7 },
    ]);
    expect(await sampler().journal('search/k/', signal)).toBeNull();
    expect(await sampler().journal('search/k/', signal)).toBeNull();
  });

  it('names the environment variable that is missing', async () => {
    const without = openaiSampler({ ...config, baseUrl: { env: 'ASTROFLOW_ENGINE_URL' } }, {}, renderer);
    await expect(without.sample(request, signal)).rejects.toMatchObject({ kind: 'fatal' });
    await expect(without.sample(request, signal)).rejects.toThrow(
      /policy\.sampler\.baseUrl names .* ASTROFLOW_ENGINE_URL/,
    );
  });

  it('finds a service again that came back on another port', async () => {
    const env: NodeJS.ProcessEnv = { URL: 'http://127.0.0.1:9' };
    const moving = openaiSampler({ ...config, baseUrl: { env: 'URL' } }, env, renderer);
    await expect(moving.sample(request, signal)).rejects.toMatchObject({ kind: 'retryable' });
    env.URL = server.baseUrl;
    server.answer(completions, { json: four() });
    await expect(moving.sample(request, signal)).resolves.toBeDefined();
  });
});

describe('a Tinker sampler', () => {
  const time = fakeTime();
  const sampler = () => tinkerSampler({ baseUrl: server.baseUrl, timeoutMs: 5000 }, {}, renderer, time);
  const future = '/retrieve_future';
  const asked = () => server.requests.filter(({ path }) => path === '/asample').map(({ body }) => body);
  const sequence = (token: number, change = {}) => ({
    tokens: [token, 3],
    logprobs: [-1, -0.5],
    stop_reason: 'stop',
    ...change,
  });
  const two = (change = {}) => ({ sequences: [sequence(23, change), sequence(24, change)] });

  it('asks once per prompt, with different noise for equal prompts', async () => {
    server.answer(future, { json: two() });
    const result = await sampler().sample(request, signal);
    expect(asked()[0]).toEqual({
      model_path: request.model,
      prompt: { chunks: [{ type: 'encoded_text', tokens: [13, 27] }] },
      num_samples: 2,
      sampling_params: { max_tokens: 8, seed: 5, temperature: 0.7, stop: ['\n'] },
      type: 'sample',
    });
    const seeds = asked().map((body) => (body.sampling_params as { seed: number }).seed);
    expect(new Set(seeds).size).toBe(2);
    expect(result.completions[1]?.[1]).toEqual({
      tokens: [24, 3],
      text: '1\n',
      logprobs: [-1, -0.5],
      stopReason: 'stop',
    });
    expect(result).toMatchObject({ promptTokens: 4, completionTokens: 8 });
  });

  it('names the end-of-text token where there is no stop string, and the base where there is no path', async () => {
    server.answer(future, { json: two({ stop_reason: 'length' }) });
    const result = await sampler().sample({ ...request, model: 'base', stops: [] }, signal);
    expect(asked()[0]).toMatchObject({
      base_model: 'base',
      sampling_params: { stop: [renderer.eosToken] },
    });
    expect(result.completions[0]?.[0]?.stopReason).toBe('length');
  });

  it('cuts what a server sampled behind a stop string or behind the end of the text', async () => {
    const eos = renderer.eosToken;
    const behind = { tokens: [23, 3, 24, 3], logprobs: [-1, -2, -3, -4], stop_reason: 'length' };
    const ended = { tokens: [23, eos, 24, 3], logprobs: [-1, -2, -3, -4], stop_reason: 'length' };
    server.answer(future, { json: { sequences: [behind, ended] } });
    const { completions, completionTokens } = await sampler().sample(request, signal);
    expect(completions[0]).toEqual([
      { tokens: [23, 3], text: '0\n', logprobs: [-1, -2], stopReason: 'stop' },
      { tokens: [23, eos], text: '0', logprobs: [-1, -2], stopReason: 'stop' },
    ]);
    // What was sampled was paid for.
    expect(completionTokens).toBe(16);
  });

  it('does without log-probabilities where they are only wanted', async () => {
    server.answer(future, { json: two({ logprobs: null }) });
    const { completions } = await sampler().sample({ ...request, logprobs: 'wanted' }, signal);
    expect(completions[0]?.[0]).not.toHaveProperty('logprobs');
  });

  it.each([
    ['retryable', '/asample', { status: 500 }],
    ['retryable', '/asample', { drop: true }],
    ['retryable', future, { status: 410 }],
    ['lost', future, { json: { error: "Model 'a' does not exist", category: 'user' } }],
    ['fatal', '/asample', { status: 400, json: { detail: 'num_samples' } }],
    ['fatal', future, { json: two({ logprobs: null }) }],
    ['retryable', future, { json: { sequences: [sequence(23)] } }],
  ] as [ServiceErrorKind, string, DoubleAnswer][])('is %s when %s answers %j', async (kind, path, answer) => {
    server.answer(path, answer);
    await expect(sampler().sample(request, signal)).rejects.toMatchObject({ name: 'ServiceError', kind });
  });

  it.each([
    [
      'a refusal that asks for time',
      '/asample',
      { status: 429, headers: { 'retry-after': '0' } },
      { json: { request_id: 'r' } },
    ],
    [
      'a queue that says so',
      future,
      { json: { type: 'try_again', queue_state: 'paused_rate_limit' } },
      { json: two() },
    ],
  ] as [string, string, DoubleAnswer, DoubleAnswer][])(
    'sends less at once after %s',
    async (_name, path, ...answers) => {
      server.answer(future, { json: two() });
      server.answer(path, ...answers);
      const gates = createGates();
      const config = { baseUrl: server.baseUrl, timeoutMs: 5000, maxConcurrency: 8 };
      await tinkerSampler(config, {}, renderer, { ...fakeTime(), gates }).sample(request, signal);
      expect(gates(server.baseUrl).load()).toEqual({ limit: 1, inFlight: 0, waiting: 0, paused: false });
    },
  );

  it('confirms a name by sampling one token from it', async () => {
    server.answer(future, { json: { sequences: [sequence(23)] } });
    await sampler().confirm(request.model, signal);
    expect(asked()[0]).toMatchObject({ num_samples: 1, sampling_params: { max_tokens: 1 } });
  });

  it('keeps no journal', async () => {
    expect(await sampler().served('search/', signal)).toBeNull();
  });
});
