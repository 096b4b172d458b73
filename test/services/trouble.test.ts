import { afterEach, describe, expect, it } from 'vitest';
import { toFailure } from '../../src/activities/failures.ts';
import type { FailureType } from '../../src/core/failures.ts';
import type { ServiceErrorKind } from '../../src/services/errors.ts';
import { createGates } from '../../src/services/gate.ts';
import { tokenizerRenderer } from '../../src/services/renderer/tokenizer.ts';
import { openaiSampler } from '../../src/services/sampler/openai.ts';
import type { SampleRequest } from '../../src/services/sampler/sampler.ts';
import { openaiChatModel } from '../../src/services/text-model/openai-chat.ts';
import { engineServer, type Fault, type ModelServer, startModelServer } from '../support/model-server.ts';

/** What each trouble of a service comes to: in the error, in Temporal, and in how much the service is sent next. */
const renderer = tokenizerRenderer('test/fixtures/chat/llama3', 'chat');
const { signal } = new AbortController();
const messages = [{ role: 'user' as const, content: 'What is 7 + 21?' }];
const request: SampleRequest = {
  callId: 'search/k/p/1/expand',
  attempt: 1,
  model: 'model',
  prompts: [renderer.prompt(messages)],
  n: 2,
  maxTokens: 40,
  temperature: 1,
  stops: ['\n\n'],
  keepStop: true,
  seed: 5,
  logprobs: 'wanted',
};

let server: ModelServer;
afterEach(() => server.close());

async function setup({ timeoutMs = 5_000, base = 'model' } = {}) {
  server = await startModelServer({ write: () => 'Step.\n\nThe answer is 28.', renderer, behaviour: engineServer });
  const gates = createGates();
  const config = { baseUrl: server.baseUrl, timeoutMs, maxConcurrency: 8 };
  const warn = () => {};
  const sampler = openaiSampler({ ...config, prompts: 'tokens' }, {}, renderer, { warn, gates, base });
  const chat = openaiChatModel({ ...config, model: base }, {}, { gates });
  const asked = { callId: 'c', attempt: 1, messages, n: 1, maxTokens: 40, temperature: 1, seed: 5 };
  return {
    sample: (change: Partial<SampleRequest> = {}, caller = signal) => sampler.sample({ ...request, ...change }, caller),
    ask: (caller = signal) => chat.ask(asked, caller),
    limit: () => gates(server.baseUrl).load(),
  };
}

type Row = [string, Fault, ServiceErrorKind, FailureType, { retryAfterMs?: number; limit: number; message: RegExp }];
const rows: Row[] = [
  ['429', { status: 429 }, 'retryable', 'ServiceUnavailable', { limit: 1, message: /on demand/ }],
  [
    '429 with retry-after',
    { status: 429, retryAfter: 7 },
    'retryable',
    'ServiceUnavailable',
    { retryAfterMs: 7000, limit: 1, message: /on demand/ },
  ],
  ['500', { status: 500 }, 'retryable', 'ServiceUnavailable', { limit: 8, message: /on demand/ }],
  ['503', { status: 503 }, 'retryable', 'ServiceUnavailable', { limit: 1, message: /on demand/ }],
  [
    '503 with retry-after',
    { status: 503, retryAfter: 2 },
    'retryable',
    'ServiceUnavailable',
    { retryAfterMs: 2000, limit: 1, message: /on demand/ },
  ],
  [
    'a connection reset in the middle of the answer',
    { reset: true },
    'retryable',
    'ServiceUnavailable',
    { limit: 8, message: /broke off its answer|unreachable/ },
  ],
  [
    'an answer cut short',
    { cut: true },
    'retryable',
    'ServiceUnavailable',
    { limit: 8, message: /broke off its answer/ },
  ],
  [
    'an answer that is no JSON',
    { words: true },
    'retryable',
    'ServiceUnavailable',
    { limit: 8, message: /broke off its answer/ },
  ],
  ['a page for people', { page: true }, 'retryable', 'ServiceUnavailable', { limit: 8, message: /without any choice/ }],
];

describe.each(['sample', 'ask'] as const)('trouble of a service that is asked to %s', (what) => {
  it.each(rows)('%s', async (_name, fault, kind, type, { retryAfterMs, limit, message }) => {
    const service = await setup();
    server.fail(fault);
    const error = await service[what]().catch((caught: unknown) => caught);
    expect(error).toMatchObject({ name: 'ServiceError', kind, retryAfterMs, message: expect.stringMatching(message) });
    expect(toFailure(error)).toMatchObject({ type, nonRetryable: false, nextRetryDelay: retryAfterMs });
    expect(service.limit()).toEqual({ limit, inFlight: 0, waiting: 0, paused: retryAfterMs !== undefined });
    expect(server.requests).toHaveLength(1);
  });

  it.each([
    ['never begins', { hang: true }],
    ['never ends', { drip: true }],
  ] as [string, Fault][])('an answer that %s', async (_name, fault) => {
    const service = await setup({ timeoutMs: 100 });
    server.fail(fault);
    const error = await service[what]().catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      kind: 'retryable',
      timedOut: true,
      message: expect.stringMatching(/in time \(100 ms\)/),
    });
    expect(service.limit()).toMatchObject({ limit: 1, inFlight: 0 });
    await server.until(() => server.abandoned() === 1);
  });

  it('a model name that the service does not know', async () => {
    const service = await setup({ base: 'modle' });
    const error = await (what === 'sample' ? service.sample({ model: 'modle' }) : service.ask()).catch(
      (caught: unknown) => caught,
    );
    const where = what === 'sample' ? 'policy.base' : 'roles.*.model.model';
    const message = expect.stringContaining(`does not serve the model that ${where} names`);
    expect(error).toMatchObject({ kind: 'fatal', message });
    expect(toFailure(error)).toMatchObject({ type: 'ServiceRefused', nonRetryable: true });
  });

  it('an operator who cancels: the request is closed, not left to finish', async () => {
    const service = await setup();
    server.fail({ hang: true });
    const caller = new AbortController();
    const asking = what === 'sample' ? service.sample({}, caller.signal) : service.ask(caller.signal);
    await server.until(() => server.requests.length === 1);
    caller.abort(new Error('cancelled'));
    await expect(asking).rejects.toThrow('cancelled');
    await server.until(() => server.abandoned() === 1);
    expect(service.limit()).toEqual({ limit: 8, inFlight: 0, waiting: 0, paused: false });
  });
});

describe('a trained version that the service lost', () => {
  it('is no mistake of the configuration: it can be published again', async () => {
    const { sample } = await setup();
    const error = await sample({ model: 'step-3' }).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ kind: 'lost' });
    expect(toFailure(error)).toMatchObject({ type: 'ServiceLostState', nonRetryable: false });
  });
});

describe('a storm', () => {
  it('is answered by fewer requests at once, and all of them are served in the end', async () => {
    const service = await setup();
    server.fail(...Array<Fault>(6).fill({ status: 429 }));
    const served: number[] = [];
    const persistent = async (number: number) => {
      for (let tries = 0; tries < 20; tries++) {
        try {
          await service.sample({ callId: `call-${number}` });
          return void served.push(number);
        } catch {
          // As Temporal does: the activity is tried again.
        }
      }
    };
    await Promise.all(Array.from({ length: 40 }, (_, number) => persistent(number)));
    expect(served.sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, number) => number));
    expect(service.limit()).toMatchObject({ inFlight: 0, waiting: 0, paused: false });
    expect(server.requests).toHaveLength(46);
  });
});
