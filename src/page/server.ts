import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type Listening, listen } from '../services/listen.ts';
import { cookieFor, loginPage, mayEnter } from './access.ts';
import { type AnswerSources, answerTo, type PageAnswer } from './answers.ts';
import { isForUs, routeOf } from './routes.ts';

export type PageServer = Listening;

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

/** A token is short; nothing else is sent here. */
const longestForm = 4096;

export interface PageOptions {
  /** 0: any. */
  port: number;
  host?: string;
  /** Demanded of everybody, where it is set. */
  token?: string | undefined;
}

/** The live page: read-only, without accounts, on loopback unless told otherwise. Rejects when the port is taken. */
export async function startPage(sources: AnswerSources, options: PageOptions): Promise<PageServer> {
  const { host = '127.0.0.1' } = options;
  let bound = options.port;
  const server = createServer((request, response) => {
    void respond(request, response, { port: bound, token: options.token }, sources).catch(() => response.destroy());
  });
  server.requestTimeout = requestMs;
  const listening = await listen(server, { host, port: options.port });
  bound = listening.port;
  return listening;
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  { port, token }: { port: number; token: string | undefined },
  sources: AnswerSources,
): Promise<void> {
  const { headers, method = '', url = '' } = request;
  const said = (name: string) => (typeof headers[name] === 'string' ? headers[name] : undefined);
  const [site, mode, dest] = ['sec-fetch-site', 'sec-fetch-mode', 'sec-fetch-dest'].map(said);
  const isOurs = isForUs({ host: headers.host, site, mode, dest }, token !== undefined);
  const answer = !isOurs
    ? text(403, `This page answers only to itself, at http://127.0.0.1:${port}.`)
    : token !== undefined && !mayEnter(headers, token)
      ? await loginAnswer(request, token)
      : await answerTo(routeOf(method, url), sources).catch((error): PageAnswer => failed(error));
  response.writeHead(answer.status, {
    ...security,
    'content-type': answer.type,
    'content-length': Buffer.byteLength(answer.body),
    'cache-control': 'no-store',
    ...answer.headers,
    ...(answer.status === 405 && { allow: 'GET, HEAD' }),
    ...(!request.complete && { connection: 'close' }),
  });
  response.end(method === 'HEAD' ? undefined : answer.body);
}

/** What somebody is told who has not logged in: the form, or what became of it. */
async function loginAnswer(request: IncomingMessage, token: string): Promise<PageAnswer> {
  const { method, url, headers } = request;
  if (method === 'POST' && url === '/login') {
    const cookie = cookieFor(await formOf(request), token, headers['x-forwarded-proto'] === 'https');
    if (cookie === null) return form(true);
    return { ...text(303, 'You are in.'), headers: { location: '/', 'set-cookie': cookie } };
  }
  if (headers.accept?.includes('text/html') === true) return form(false);
  return {
    ...text(401, 'This page demands its token (ASTROFLOW_PAGE_TOKEN).'),
    headers: { 'www-authenticate': 'Bearer' },
  };
}

function form(wasWrong: boolean): PageAnswer {
  return {
    status: wasWrong ? 403 : 401,
    type: 'text/html; charset=utf-8',
    body: loginPage(wasWrong).markup,
    headers: {
      'content-security-policy': security['content-security-policy'].replace(
        "form-action 'none'",
        "form-action 'self'",
      ),
    },
  };
}

async function formOf(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    body += String(chunk);
    if (body.length > longestForm) return '';
  }
  return body;
}

/** What is wrong with a stored file says which: everybody who can read this page can read the store. */
function failed(error: unknown): PageAnswer {
  return text(500, error instanceof Error ? error.message : String(error));
}

function text(status: number, message: string): PageAnswer {
  return { status, type: 'text/plain; charset=utf-8', body: `${message}\n` };
}
