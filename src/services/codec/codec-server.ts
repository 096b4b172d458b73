import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { hasBearer, isLoopback } from '../access.ts';
import { type Listening, listen } from '../listen.ts';
import type { CodecKey } from './keys.ts';
import { CodecError, createPayloadCodec } from './payload-codec.ts';
import { PayloadsError, payloadsFrom, payloadsToJson } from './payloads-json.ts';

/** A page of a history is at most 4 MiB of gRPC, a third more as base64. */
export const maxBodyBytes = 16 * 1024 * 1024;

/** Of one request, which is decrypting some payloads. */
const requestMs = 30_000;

export interface CodecServerOptions {
  keys: readonly CodecKey[];
  host: string;
  /** 0: any. */
  port: number;
  /** Of the web pages that may ask: the Temporal UI's, as a browser says it (`http://127.0.0.1:8233`). */
  origins: readonly string[];
  /** Demanded as `Authorization: Bearer`; without one, who reaches the port may ask. */
  token?: string;
}

export type CodecServer = Listening;

/**
 * Temporal's codec server protocol, for the UI and the `temporal` CLI: POST /decode and /encode (or with the namespace
 * before it), `{"payloads": […]}` in and out. Rejects when the port is taken.
 * Source: https://docs.temporal.io/production-deployment/data-encryption
 */
export function startCodecServer(options: CodecServerOptions): Promise<CodecServer> {
  const codec = createPayloadCodec(options.keys);
  const server = createServer((request, response) => {
    void respond(request, response).catch(() => response.destroy());
  });
  server.requestTimeout = requestMs;

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const answer = await answerTo(request).catch((error): Answer => refusalOf(error));
    const origin = request.headers.origin;
    const isKnown = origin !== undefined && options.origins.includes(origin);
    response.writeHead(answer.status, {
      ...answer.headers,
      ...(isKnown && { 'access-control-allow-origin': origin, 'access-control-allow-credentials': 'true' }),
      vary: 'origin',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'content-type': 'application/json',
      // The rest of a body that was refused is not waited for.
      ...(!request.complete && { connection: 'close' }),
    });
    response.end(answer.body);
  }

  async function answerTo(request: IncomingMessage): Promise<Answer> {
    const { method, headers, url = '' } = request;
    // A name that somebody's page made point at this machine (DNS rebinding) comes as another host.
    if (options.token === undefined && !isLoopback(hostOf(headers.host)))
      throw new Refusal(403, 'This is not its name.');
    if (headers.origin !== undefined && !options.origins.includes(headers.origin))
      throw new Refusal(403, `Pages of ${headers.origin.slice(0, 200)} may not ask: allow it with --origin.`);
    const operation = /^\/(?:[^/?]+\/)?(decode|encode)$/.exec(url)?.[1];
    if (operation === undefined) throw new Refusal(404, 'There are /decode and /encode.');
    if (method === 'OPTIONS') return { status: 204, headers: preflight(headers) };
    if (method !== 'POST') throw new Refusal(405, 'POST, with {"payloads": […]}.');
    if (options.token !== undefined && !hasBearer(headers.authorization, options.token))
      throw new Refusal(401, "Authorization: Bearer with the codec server's token is needed.");
    const payloads = payloadsFrom(await bodyOf(request));
    const done = await (operation === 'decode' ? codec.decode(payloads) : codec.encode(payloads));
    return { status: 200, body: payloadsToJson(done) };
  }

  return listen(server, options);
}

interface Answer {
  status: number;
  headers?: Record<string, string>;
  body?: string;
}

class Refusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

function refusalOf(error: unknown): Answer {
  const isTheirs = error instanceof CodecError || error instanceof PayloadsError;
  const status = error instanceof Refusal ? error.status : isTheirs ? 400 : 500;
  const message = error instanceof Refusal || isTheirs ? error.message : 'The codec server failed.';
  return { status, body: JSON.stringify({ message }), headers: status === 405 ? { allow: 'POST, OPTIONS' } : {} };
}

function preflight(asked: IncomingMessage['headers']): Record<string, string> {
  const isPrivate = asked['access-control-request-private-network'] === 'true';
  return {
    'access-control-allow-methods': 'POST, OPTIONS',
    'access-control-allow-headers': 'authorization, content-type, x-namespace',
    'access-control-max-age': '600',
    // A browser asks before a page from elsewhere may call a server on loopback.
    ...(isPrivate && { 'access-control-allow-private-network': 'true' }),
  };
}

function hostOf(header = ''): string {
  return header.replace(/:\d{1,5}$/, '');
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBodyBytes) throw new Refusal(413, `The body is larger than ${maxBodyBytes} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
