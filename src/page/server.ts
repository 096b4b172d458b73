import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AnswerSources, answerTo, type PageAnswer } from './answers.ts';
import { isForUs, routeOf } from './routes.ts';

export interface PageServer {
  url: string;
  port: number;
  close(): Promise<void>;
}

/** Of one request: reading a run's store takes a moment, but nobody waits this long. */
const requestMs = 30_000;

/**
 * Scripts and data come from this server alone and nothing goes elsewhere. Styles may stand in the page: the figures'
 * drawings carry some, and a style cannot run.
 */
const security = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
} as const;

/** The live page on loopback: read-only, without accounts. Rejects when the port is taken. */
export function startPage(sources: AnswerSources, port: number): Promise<PageServer> {
  let bound = port;
  const server = createServer((request, response) => {
    void respond(request, response, bound, sources);
  });
  server.requestTimeout = requestMs;
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host: '127.0.0.1' }, () => {
      const address = server.address();
      if (address !== null && typeof address === 'object') bound = address.port;
      resolve({
        url: `http://127.0.0.1:${bound}`,
        port: bound,
        close: () =>
          new Promise((done) => {
            server.close(() => done());
            server.closeAllConnections();
          }),
      });
    });
  });
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  port: number,
  sources: AnswerSources,
): Promise<void> {
  const { headers, method = '', url = '' } = request;
  const said = (name: string) => (typeof headers[name] === 'string' ? headers[name] : undefined);
  const [site, mode, dest] = ['sec-fetch-site', 'sec-fetch-mode', 'sec-fetch-dest'].map(said);
  const isOurs = isForUs({ host: headers.host, site, mode, dest });
  const answer = isOurs
    ? await answerTo(routeOf(method, url), sources).catch((error): PageAnswer => failed(error))
    : text(403, `This page answers only to itself, at http://127.0.0.1:${port}.`);
  response.writeHead(answer.status, {
    ...security,
    'content-type': answer.type,
    'content-length': Buffer.byteLength(answer.body),
    'cache-control': 'no-store',
    ...(answer.status === 405 && { allow: 'GET, HEAD' }),
  });
  response.end(method === 'HEAD' ? undefined : answer.body);
}

/** What is wrong with a stored file says which: everybody who can read this page can read the store. */
function failed(error: unknown): PageAnswer {
  return text(500, error instanceof Error ? error.message : String(error));
}

function text(status: number, message: string): PageAnswer {
  return { status, type: 'text/plain; charset=utf-8', body: `${message}\n` };
}
