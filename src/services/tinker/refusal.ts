import { saidBy } from '../../core/foreign-text.ts';
import { TinkerError, type TinkerErrorKind } from './errors.ts';
import { type Answer, type HttpOptions, serviceName } from './http.ts';

/** What a refusal or a failed promise means for the caller: the status table of the protocol. */

export function refusal(options: HttpOptions, path: string, answer: Answer): TinkerError {
  const { status, json } = answer;
  const service = serviceName(options);
  const said = messageOf(json);
  const message = `${service} refused ${path} (${status})${said ? `: ${said}` : ''}`;
  return new TinkerError(kindOf(path, status, said), message, {
    service,
    path,
    status,
    ...retryAfter(answer.headers),
  });
}

function kindOf(path: string, status: number, said: string | undefined): TinkerErrorKind {
  if (status === 402 || isFull(path, said)) return 'paused';
  // 425: weights that are still being saved.
  if (status === 408 || status === 425 || status === 429 || status === 503) return 'retryable';
  if (status >= 500) return 'ambiguous';
  return isLost(path, status, said) ? 'lost' : 'fatal';
}

/** Whether a server holds as many models as it can: one of them may be unloaded, or belong to a dead session. */
function isFull(path: string, said: string | undefined): boolean {
  return path === '/create_model' && said !== undefined && /maximum number of|no (free )?(slot|capacity)/i.test(said);
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

/** Whether the server does not know the path at all, which is how it says that it lacks an operation. */
export function isUnknownPath(error: unknown): boolean {
  return error instanceof TinkerError && error.kind === 'fatal' && (error.status === 404 || error.status === 405);
}

export interface FailedRequest {
  said: string;
  category: 'user' | 'server' | 'unknown';
}

/**
 * The words of a failed promise, or null where the answer is none. Servers put them differently:
 * `{error, category}` (hosted), `{type: "RequestFailedResponse", error_message}` (Open-RL).
 */
export function failureOf(json: Record<string, unknown>): FailedRequest | null {
  const said = json.error ?? (json.type === 'RequestFailedResponse' ? (json.error_message ?? json.type) : null);
  if (said == null) return null;
  // "User", "user", "user_error": one word of three.
  const named = typeof json.category === 'string' ? /^(user|server)/i.exec(json.category)?.[1] : undefined;
  const category = (named?.toLowerCase() ?? 'unknown') as FailedRequest['category'];
  return { said: saidBy(typeof said === 'string' ? said : JSON.stringify(said)), category };
}

/** A finished promise that failed: the server's words and whose fault it was. */
export function failedFuture(
  options: HttpOptions,
  path: string,
  requestId: string,
  { said, category }: FailedRequest,
): TinkerError {
  const service = serviceName(options);
  const lost = path !== '/create_model' && /not loaded|does not exist|not found|expired/i.test(said);
  const kind = isFull(path, said) ? 'paused' : lost ? 'lost' : category === 'user' ? 'fatal' : 'retryable';
  return new TinkerError(kind, `${service} could not do ${path}: ${said}`, {
    service,
    path,
    requestId,
    category,
  });
}

/** `{detail}` (a text, or FastAPI's list), `{error}`, `{error: {message}}`, `{error_message}`: servers differ. */
function messageOf(json: unknown): string | undefined {
  if (typeof json !== 'object' || json === null) return undefined;
  const fields = json as Record<string, unknown>;
  const said = fields.detail ?? fields.error_message ?? fields.error ?? fields.message;
  if (said === undefined) return undefined;
  if (typeof said === 'object' && said !== null && 'message' in said) return messageOf(said);
  return saidBy(typeof said === 'string' ? said : JSON.stringify(said)).slice(0, 500);
}

const MAX_RETRY_AFTER_MS = 60_000;

/** Milliseconds win over seconds; dates are not used by this API. */
function retryAfter(headers: Headers): { retryAfterMs?: number } {
  const ms = Number(headers.get('retry-after-ms') ?? Number.NaN);
  const seconds = Number(headers.get('retry-after') ?? Number.NaN);
  const wait = Number.isFinite(ms) ? ms : seconds * 1000;
  return Number.isFinite(wait) && wait >= 0 ? { retryAfterMs: Math.min(wait, MAX_RETRY_AFTER_MS) } : {};
}

/** `x-should-retry`: the server knows best. Null where it does not say. */
export function shouldRetry(headers: Headers): boolean | null {
  const said = headers.get('x-should-retry');
  return said === 'true' ? true : said === 'false' ? false : null;
}
