import { withoutSecret } from '../../core/foreign-text.ts';
import { AnswerTooLarge, boundedAnswer } from '../bounded-body.ts';
import { TinkerError } from './errors.ts';

/** One HTTP exchange of the Tinker API. What a status means is in `refusal.ts`; waiting and retrying in `transport.ts`. */

export interface Answer {
  status: number;
  headers: Headers;
  /** Parsed JSON; undefined when the body is something else (a proxy's page, protobuf). */
  json: unknown;
  /** A protobuf body, undecoded. */
  protobuf: Uint8Array | undefined;
}

export interface HttpOptions {
  /** Without `/api/v1`. */
  baseUrl: string;
  /** `tml-…`, or a JWT (`eyJ…`): both go in the same header. Absent where the server asks for none. */
  apiKey?: string | undefined;
  /** Names the service in errors. */
  service?: string;
  /** Added to the error when nothing answers: how to start the service. */
  hint?: string;
}

export const PROTOBUF = 'application/x-protobuf';

export interface Body {
  contentType: string;
  content: string | Uint8Array<ArrayBuffer>;
}

export const jsonBody = (body: object): Body => ({ contentType: 'application/json', content: JSON.stringify(body) });

export interface Exchange {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Below `/api/v1`. */
  path: string;
  body?: Body;
  headers?: Record<string, string>;
  timeoutMs: number;
  signal: AbortSignal;
}

export const serviceName = (options: HttpOptions): string => options.service ?? 'the Tinker server';

/**
 * Sends one request. Any HTTP answer is returned, redirects too; no answer throws.
 *
 * @param key the API key or JWT of this moment
 * @throws TinkerError (`retryable` when the connection was refused, so nothing was sent; `ambiguous` when it broke or
 * timed out later), or the signal's reason when the caller gave up
 */
export async function exchange(
  options: HttpOptions,
  key: string | undefined,
  { method, path, body, headers, timeoutMs, signal }: Exchange,
): Promise<Answer> {
  signal.throwIfAborted();
  try {
    const sent = await fetch(`${options.baseUrl}/api/v1${path}`, {
      method,
      headers: {
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': body.contentType }),
        ...(key === undefined ? {} : { 'x-api-key': key }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: body.content }),
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    const response = boundedAnswer(sent);
    const { status } = response;
    const bytes = new Uint8Array(await response.arrayBuffer());
    const isProtobuf = response.headers.get('content-type')?.includes(PROTOBUF) ?? false;
    return {
      status,
      headers: response.headers,
      json: isProtobuf ? undefined : parse(bytes, status < 300 ? undefined : key),
      protobuf: isProtobuf ? bytes : undefined,
    };
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof AnswerTooLarge) {
      const service = serviceName(options);
      const message = `${service} at ${options.baseUrl} answered ${path}: ${cause.message}; send less at once`;
      throw new TinkerError('fatal', message, { service, path, cause });
    }
    throw noAnswer(options, path, timeoutMs, cause);
  }
}

/** @param key that a refusal may repeat; it is not shown */
function parse(bytes: Uint8Array, key: string | undefined): unknown {
  try {
    return JSON.parse(withoutSecret(new TextDecoder().decode(bytes), key));
  } catch {
    return undefined;
  }
}

/** Codes of failures before anything was sent. */
const NOT_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT']);

export function noAnswer(options: HttpOptions, path: string, timeoutMs: number, cause: unknown): TinkerError {
  const service = serviceName(options);
  const code = codeOf(cause);
  if (cause instanceof Error && cause.name === 'TimeoutError') {
    const message = `${service} at ${options.baseUrl} did not answer ${path} within ${timeoutMs} ms`;
    return new TinkerError('ambiguous', message, { service, path, timedOut: true, cause });
  }
  const sent = !NOT_SENT.has(code ?? '');
  const message = sent
    ? `the connection to ${service} at ${options.baseUrl} broke during ${path} (${code ?? cause})`
    : `${service} at ${options.baseUrl} is unreachable (${code})${options.hint ? `: ${options.hint}` : ''}`;
  return new TinkerError(sent ? 'ambiguous' : 'retryable', message, { service, path, cause });
}

/** fetch wraps the system's error as its cause, once or twice. */
function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return 'code' in error && typeof error.code === 'string' ? error.code : codeOf(error.cause);
}
