import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One answer of the double. `drop` closes the connection instead. */
export type DoubleAnswer =
  | {
      status?: number;
      json?: unknown;
      text?: string;
      bytes?: Uint8Array;
      headers?: Record<string, string>;
    }
  | { drop: true };

export interface DoubleRequest {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  /** Empty where it is not JSON. */
  body: Record<string, unknown>;
  bytes: Uint8Array;
}

export interface TinkerDouble {
  baseUrl: string;
  requests: DoubleRequest[];
  /** Answers for a path, in order; the last one stays. */
  answer(path: string, ...answers: DoubleAnswer[]): void;
  paths(): string[];
  close(): Promise<void>;
}

/** A server on loopback that answers as a test tells it: submits get request ids of their own unless told otherwise. */
export async function tinkerDouble(): Promise<TinkerDouble> {
  const requests: DoubleRequest[] = [];
  const answers = new Map<string, DoubleAnswer[]>();
  let submitted = 0;
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    const { headers, method = '' } = request;
    const isJson = headers['content-type'] === 'application/json';
    const path = (request.url ?? '').replace('/api/v1', '');
    requests.push({ method, path, headers, body: isJson ? JSON.parse(bytes.toString('utf8')) : {}, bytes });
    const queue = answers.get(path) ?? [];
    const answer = (queue.length > 1 ? queue.shift() : queue[0]) ?? { json: { request_id: `r${++submitted}` } };
    if ('drop' in answer) return request.socket.destroy();
    response.writeHead(answer.status ?? 200, { 'content-type': 'application/json', ...answer.headers });
    response.end(answer.bytes ?? answer.text ?? JSON.stringify(answer.json ?? {}));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    answer: (path, ...list) => void answers.set(path, list),
    paths: () => requests.map((request) => request.path),
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** A clock that only sleeping moves. */
export function fakeTime() {
  let time = 0;
  const sleeps: number[] = [];
  return {
    sleeps,
    now: () => time,
    sleep: async (ms: number) => {
      sleeps.push(ms);
      time += ms;
    },
  };
}
