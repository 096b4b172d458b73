import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request as an S3 server sees it. */
export interface S3Request {
  method: string;
  /** Bucket and key, behind the slash. */
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  body: Buffer;
}

export interface S3Double {
  url: string;
  /** All that has come in, in order. */
  requests: S3Request[];
  close(): Promise<void>;
}

/** Answers S3 requests by a test's script: for what a real server does not do when it is asked to. */
export async function startS3Double(
  answer: (request: S3Request, response: ServerResponse, earlier: readonly S3Request[]) => void,
): Promise<S3Double> {
  const requests: S3Request[] = [];
  const server = createServer(async (incoming, response) => {
    const pieces: Buffer[] = [];
    for await (const piece of incoming) pieces.push(piece as Buffer);
    const url = new URL(incoming.url ?? '/', 'http://double');
    const request: S3Request = {
      method: incoming.method ?? '',
      path: decodeURIComponent(url.pathname.slice(1)),
      query: url.searchParams,
      headers: incoming.headers,
      body: Buffer.concat(pieces),
    };
    const earlier = [...requests];
    requests.push(request);
    answer(request, response, earlier);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    close: () =>
      new Promise((closed) => {
        server.closeAllConnections();
        server.close(() => closed());
      }),
  };
}

/** An error as S3 words it. */
export function s3Error(response: ServerResponse, status: number, code: string, headers: Record<string, string> = {}) {
  response.writeHead(status, { 'content-type': 'application/xml', ...headers });
  response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code} it is</Message></Error>`);
}

export function s3Xml(response: ServerResponse, name: string, fields: Record<string, string>) {
  const inner = Object.entries(fields).map(([field, value]) => `<${field}>${value}</${field}>`);
  response.writeHead(200, { 'content-type': 'application/xml' });
  response.end(`<?xml version="1.0"?><${name}>${inner.join('')}</${name}>`);
}
