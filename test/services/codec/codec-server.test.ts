import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type CodecServer,
  type CodecServerOptions,
  maxBodyBytes,
  startCodecServer,
} from '../../../src/services/codec/codec-server.ts';
import { encryptedEncoding } from '../../../src/services/codec/payload-codec.ts';

const keys = [{ id: 'a', key: randomBytes(32) }];
const ui = 'http://127.0.0.1:8233';
const base64 = (text: string) => Buffer.from(text).toString('base64');
const plain = { metadata: { encoding: base64('json/plain') }, data: base64('{"run":"demo"}') };

let server: CodecServer | undefined;
afterEach(() => server?.close());
const started = async (options: Partial<CodecServerOptions> = {}) => {
  server = await startCodecServer({ keys, host: '127.0.0.1', port: 0, origins: [ui], ...options });
  return server;
};

interface Asked {
  method?: string;
  headers?: Record<string, string>;
  body?: unknown;
}

async function ask(path: string, { method = 'POST', headers = {}, body = { payloads: [plain] } }: Asked = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const response = await fetch(`${server?.url}${path}`, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    ...(method === 'POST' && { body: text }),
  });
  const answer = await response.text();
  return { status: response.status, headers: response.headers, body: answer === '' ? null : JSON.parse(answer) };
}

describe('the codec server', () => {
  it('encrypts and decrypts, with the namespace before the operation or without it', async () => {
    await started();
    for (const path of ['', '/default']) {
      const { body: encrypted } = await ask(`${path}/encode`);
      expect(encrypted.payloads[0].metadata.encoding).toBe(base64(encryptedEncoding));
      expect(JSON.stringify(encrypted)).not.toContain(plain.data);
      expect((await ask(`${path}/decode`, { body: encrypted })).body).toEqual({ payloads: [plain] });
    }
  });

  it('gives back what is not encrypted as it is, whatever fields it has', async () => {
    await started();
    const payloads = [plain, { metadata: {} }, { ...plain, externalPayloads: [{ sizeBytes: '7' }] }];
    expect((await ask('/decode', { body: { payloads } })).body).toEqual({ payloads });
  });

  it('takes a body without payloads, which is how protobuf writes none', async () => {
    await started();
    expect(await ask('/decode', { body: {} })).toMatchObject({ status: 200, body: { payloads: [] } });
  });

  it('lets the pages of the UI ask, and no others', async () => {
    await started();
    const preflight = await ask('/decode', {
      method: 'OPTIONS',
      headers: { origin: ui, 'access-control-request-private-network': 'true' },
    });
    expect(preflight.status).toBe(204);
    expect(Object.fromEntries(preflight.headers)).toMatchObject({
      'access-control-allow-origin': ui,
      'access-control-allow-headers': 'authorization, content-type, x-namespace',
      'access-control-allow-private-network': 'true',
    });
    expect((await ask('/decode', { headers: { origin: ui } })).headers.get('access-control-allow-origin')).toBe(ui);
    for (const method of ['OPTIONS', 'POST']) {
      const other = await ask('/decode', { method, headers: { origin: 'http://evil.example' } });
      expect([other.status, other.headers.get('access-control-allow-origin')]).toEqual([403, null]);
    }
  });

  it('does not answer under the name of somebody else', async () => {
    await started();
    const status = await new Promise((resolve) => {
      const asked = request(
        `${server?.url}/decode`,
        { method: 'POST', headers: { host: 'evil.example' } },
        (response) => resolve(response.statusCode),
      );
      asked.end('{"payloads":[]}');
    });
    expect(status).toBe(403);
  });

  it('demands its token where it has one, but not of a preflight, which cannot have it', async () => {
    const token = 'a-token-of-a-codec-server';
    await started({ token });
    expect((await ask('/decode')).status).toBe(401);
    expect((await ask('/decode', { headers: { authorization: `Bearer ${token}x` } })).status).toBe(401);
    expect((await ask('/decode', { headers: { authorization: token } })).status).toBe(401);
    expect((await ask('/decode', { headers: { authorization: `Bearer ${token}` } })).status).toBe(200);
    expect((await ask('/decode', { method: 'OPTIONS', headers: { origin: ui } })).status).toBe(204);
  });

  it.each([
    ['GET', '/decode', undefined, 405, 'POST, with'],
    ['POST', '/', undefined, 404, '/decode and /encode'],
    ['POST', '/a/b/decode', undefined, 404, '/decode and /encode'],
    ['POST', '/decode', '{', 400, 'not JSON'],
    ['POST', '/decode', '{"payloads":[{"data":7}]}', 400, 'The body must be'],
    ['POST', '/decode', '[]', 400, 'The body must be'],
    ['POST', '/decode', JSON.stringify({ payloads: new Array(10_001).fill({}) }), 400, 'at most 10000'],
    ['POST', '/decode', 'x'.repeat(maxBodyBytes + 1), 413, 'larger than'],
  ])('refuses %s %s and says why (%#)', async (method, path, body, status, message) => {
    await started();
    const answer = await ask(path, { method, ...(body !== undefined && { body }) });
    expect(answer.status).toBe(status);
    expect(answer.body.message).toContain(message);
  });

  it('names the key that it does not have', async () => {
    await started();
    const { body } = await ask('/encode');
    await server?.close();
    await started({ keys: [{ id: 'b', key: randomBytes(32) }] });
    expect(await ask('/decode', { body })).toMatchObject({
      status: 400,
      body: { message: expect.stringContaining('encrypted with key "a"') },
    });
  });
});
