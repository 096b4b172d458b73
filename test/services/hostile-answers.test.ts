import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { AnswerTooLarge, beginningOf, boundedAnswer } from '../../src/services/bounded-body.ts';
import { plainRequest } from '../../src/services/jobs/plain-request.ts';
import { rayJobs } from '../../src/services/jobs/ray.ts';
import { connectOpenAi } from '../../src/services/openai/client.ts';
import { within } from '../../src/services/openai/within.ts';
import { tinkerClient } from '../../src/services/tinker/index.ts';

const key = 'sk-planted-1234567890';
const signal = new AbortController().signal;
const of = { name: 'the sampler', path: 'policy.sampler' };

const open: ReturnType<typeof createServer>[] = [];
afterEach(() => {
  for (const server of open.splice(0)) server.close().closeAllConnections();
});

/** What was asked, in order, of a server that answers so. */
async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const asked: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    asked.push(request);
    answer(request, response);
  });
  open.push(server);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return { baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

const askOpenAi = async (baseUrl: string) => {
  const { client, root } = connectOpenAi({ baseUrl, apiKey: key, timeoutMs: 5000 }, {}, of);
  return within({ root, of, timeoutMs: 5000, caller: signal }, () => client.post('/completions', { body: {} })).then(
    () => new Error('it answered'),
    (error) => error,
  );
};
const askTinker = (baseUrl: string) =>
  tinkerClient({ baseUrl, apiKey: key, timeoutMs: 1000 })
    .createSession(signal)
    .catch((error) => error);
const askRay = (address: string) =>
  rayJobs({ connection: () => ({ address, token: key }), timeoutMs: 1000 })
    .get('job', signal)
    .catch((error) => error);
const clients = [
  ['the OpenAI client', askOpenAi],
  ['the Tinker client', askTinker],
  ['the Ray client', askRay],
] as const;

/** All that an error tells, its causes included. */
function allOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return `${error.message} ${error.stack} ${JSON.stringify(error)} ${allOf(error.cause ?? '')}`;
}

describe.each(clients)('a server that %s asks', (_, ask) => {
  it('may repeat the key that it was sent: no error shows it, nor what a terminal would obey', async () => {
    const { baseUrl } = await serve((request, response) => {
      const echo = `you sent ${request.headers.authorization ?? request.headers['x-api-key']} \u001b[31m`;
      response.writeHead(400, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ detail: echo, more: { headers: request.headers } }));
    });
    const error = await ask(baseUrl);
    expect(error.message).toContain('you sent');
    expect(allOf(error)).not.toContain(key);
    expect(allOf(error)).not.toContain('\u001b');
  });

  it('may redirect: the key goes nowhere else', async () => {
    const elsewhere = await serve((_request, response) => void response.end('{}'));
    const { baseUrl } = await serve((_request, response) => {
      response.writeHead(307, { location: `${elsewhere.baseUrl}/?was=${key}` });
      response.end();
    });
    const error = await ask(baseUrl);
    expect(error).toBeInstanceOf(Error);
    expect(allOf(error)).not.toContain(key);
    expect(elsewhere.asked).toEqual([]);
  });

  it.each([
    ['nested a hundred thousand times', `${'['.repeat(100_000)}${']'.repeat(100_000)}`],
    ['that names prototypes', '{"__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 1}}}'],
  ])('may send JSON %s: it does no harm', async (_what, body) => {
    const { baseUrl, asked } = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(body);
    });
    expect(await ask(baseUrl)).not.toBeInstanceOf(RangeError);
    expect(asked.length).toBeGreaterThan(0);
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });
});

describe('an answer', () => {
  it('breaks off beyond its bound, counted unpacked', async () => {
    const { baseUrl } = await serve((_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' });
      response.end(gzipSync(Buffer.alloc(1_000_000)));
    });
    await expect(boundedAnswer(await fetch(baseUrl), 10_000).text()).rejects.toBeInstanceOf(AnswerTooLarge);
    expect((await boundedAnswer(await fetch(baseUrl), 1_000_000).arrayBuffer()).byteLength).toBe(1_000_000);
  });

  it('without a body stays one', async () => {
    expect(await boundedAnswer(new Response(null, { status: 204 })).text()).toBe('');
  });

  it('that refuses is read as far as anybody needs, even one without an end', async () => {
    const { baseUrl } = await serve((_request, response) => {
      const more = () => response.write('x'.repeat(16_384), () => response.destroyed || setImmediate(more));
      response.writeHead(500);
      more();
    });
    expect(await beginningOf(await fetch(baseUrl), 1000)).toBe('x'.repeat(1000));
    expect((await askOpenAi(baseUrl)).message.length).toBeLessThan(1200);
  });

  it('of the plain client is bounded too', async () => {
    const { baseUrl } = await serve((_request, response) => void response.end('x'.repeat(5000)));
    await expect(plainRequest('GET', baseUrl, { signal, maxBytes: 4999 })).rejects.toBeInstanceOf(AnswerTooLarge);
    expect((await plainRequest('GET', baseUrl, { signal, maxBytes: 5000 })).text).toHaveLength(5000);
  });
});
