import { ServiceError, type ServiceErrorKind } from '../errors.ts';

/** One HTTP exchange of the Tinker API, and what its status means. Waiting and retrying are in `transport.ts`. */

export interface Answer {
  status: number;
  headers: Headers;
  /** Parsed JSON; undefined when the body is something else (a proxy's page). */
  json: unknown;
}

export interface HttpOptions {
  /** Without `/api/v1`. */
  baseUrl: string;
  apiKey?: string | undefined;
  /** Names the service in errors. */
  service: string;
  /** Added to the error when nothing answers: how to start the service. */
  hint?: string;
}

export interface Exchange {
  method: 'GET' | 'POST';
  /** Below `/api/v1`. */
  path: string;
  body?: unknown;
  timeoutMs: number;
  signal: AbortSignal;
}

/**
 * Sends one request. Any HTTP answer is returned; no answer throws.
 *
 * @throws ServiceError (`retryable` when the connection was refused, so nothing was sent; `ambiguous` when it broke or
 * timed out later), or the signal's reason when the caller gave up
 */
export async function exchange(
  options: HttpOptions,
  { method, path, body, timeoutMs, signal }: Exchange,
): Promise<Answer> {
  signal.throwIfAborted();
  const url = `${options.baseUrl}/api/v1${path}`;
  try {
    const response = await fetch(url, {
      method,
      headers: {
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(options.apiKey === undefined ? {} : { 'x-api-key': options.apiKey }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    return { status: response.status, headers: response.headers, json: parse(await response.text()) };
  } catch (cause) {
    signal.throwIfAborted();
    throw noAnswer(options, path, timeoutMs, cause);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Codes of failures before anything was sent. */
const NOT_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT']);

function noAnswer(options: HttpOptions, path: string, timeoutMs: number, cause: unknown): ServiceError {
  const code = codeOf(cause);
  if (cause instanceof Error && cause.name === 'TimeoutError') {
    const message = `${options.service} at ${options.baseUrl} did not answer ${path} within ${timeoutMs} ms`;
    return new ServiceError('ambiguous', message, { service: options.service, timedOut: true, cause });
  }
  const sent = !NOT_SENT.has(code ?? '');
  const message = sent
    ? `the connection to ${options.service} at ${options.baseUrl} broke during ${path} (${code ?? cause})`
    : `${options.service} at ${options.baseUrl} is unreachable (${code})${options.hint ? `: ${options.hint}` : ''}`;
  return new ServiceError(sent ? 'ambiguous' : 'retryable', message, { service: options.service, cause });
}

/** fetch wraps the system's error as its cause, once or twice. */
function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return 'code' in error && typeof error.code === 'string' ? error.code : codeOf(error.cause);
}

/** A refusal as the error that tells the caller what to do (the status table of the protocol). */
export function refusal(options: HttpOptions, path: string, answer: Answer): ServiceError {
  const { status, json } = answer;
  const said = messageOf(json);
  const message = `${options.service} refused ${path} (${status})${said ? `: ${said}` : ''}`;
  return new ServiceError(kindOf(path, status, said), message, {
    service: options.service,
    status,
    ...retryAfter(answer.headers),
  });
}

function kindOf(path: string, status: number, said: string | undefined): ServiceErrorKind {
  if (status === 402) return 'paused';
  if (status === 408 || status === 429 || status === 503) return 'retryable';
  if (status >= 500) return 'ambiguous';
  return isLost(path, status, said) ? 'lost' : 'fatal';
}

/** Whether a refusal means that a restart or a reaper took away a model, session, checkpoint or promise. */
function isLost(path: string, status: number, said: string | undefined): boolean {
  if (status === 410) return true;
  // FastAPI answers a path it does not have with exactly "Not Found": that is not a Tinker server.
  if (said === undefined || said === 'Not Found') return false;
  // A base model that the server does not have is a wrong configuration.
  if (path === '/create_model') return status === 404 && /session/i.test(said);
  return status === 404 || (status === 400 && /not loaded/i.test(said));
}

/** A finished future that failed: the server's words and whose fault it was. */
export function failedFuture(options: HttpOptions, path: string, json: Record<string, unknown>): ServiceError {
  const said = typeof json.error === 'string' ? json.error : JSON.stringify(json.error);
  const lost = path !== '/create_model' && /not loaded|does not exist|not found|expired/i.test(said);
  const kind = lost ? 'lost' : json.category === 'user' ? 'fatal' : 'retryable';
  return new ServiceError(kind, `${options.service} could not do ${path}: ${said}`, { service: options.service });
}

/** `{detail}` (a text, or FastAPI's list), `{error}`, `{error: {message}}`, `{error_message}`: servers differ. */
function messageOf(json: unknown): string | undefined {
  if (typeof json !== 'object' || json === null) return undefined;
  const fields = json as Record<string, unknown>;
  const said = fields.detail ?? fields.error_message ?? fields.error ?? fields.message;
  if (said === undefined) return undefined;
  if (typeof said === 'object' && said !== null && 'message' in said) return messageOf(said);
  return (typeof said === 'string' ? said : JSON.stringify(said)).slice(0, 500);
}

const MAX_RETRY_AFTER_MS = 60_000;

/** Milliseconds win over seconds; dates are not used by this API. */
function retryAfter(headers: Headers): { retryAfterMs?: number } {
  const ms = Number(headers.get('retry-after-ms') ?? Number.NaN);
  const seconds = Number(headers.get('retry-after') ?? Number.NaN);
  const wait = Number.isFinite(ms) ? ms : seconds * 1000;
  return Number.isFinite(wait) && wait >= 0 ? { retryAfterMs: Math.min(wait, MAX_RETRY_AFTER_MS) } : {};
}
