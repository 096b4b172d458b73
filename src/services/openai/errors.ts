import { APIConnectionError, APIConnectionTimeoutError, APIError } from 'openai';
import { startHint } from '../address.ts';
import { AnswerTooLarge } from '../bounded-body.ts';
import { ServiceError } from '../errors.ts';
import type { OpenAiService } from './client.ts';

/**
 * What the client threw, as the error that tells the caller what to do.
 * @throws the signal's reason when the caller gave up
 */
export function toServiceError(error: unknown, root: string, of: OpenAiService, signal: AbortSignal): unknown {
  signal.throwIfAborted();
  const service = of.name;
  if (error instanceof APIConnectionTimeoutError) {
    const message = `${service} at ${root} did not answer in time; raise ${of.path}.timeoutMs if that is normal`;
    return new ServiceError('retryable', message, { service, timedOut: true, cause: error });
  }
  if (error instanceof APIConnectionError) {
    const message = `${service} at ${root} is unreachable (${codeOf(error) ?? error.message}): ${startHint}`;
    return new ServiceError('retryable', message, { service, cause: error });
  }
  if (error instanceof AnswerTooLarge) {
    const message = `${service} at ${root}: ${error.message}; ask for fewer samples at once, or for shorter ones`;
    return new ServiceError('fatal', message, { service, cause: error });
  }
  // A body that ends in its middle, or is no JSON.
  if (error instanceof SyntaxError || (error instanceof TypeError && codeOf(error) !== undefined)) {
    const message = `${service} at ${root} broke off its answer (${codeOf(error) ?? error.message})`;
    return new ServiceError('retryable', message, { service, cause: error });
  }
  if (!(error instanceof APIError) || error.status === undefined) return error;
  const status = Number(error.status);
  if (status === 404 && of.namesModel !== undefined && isAboutModel(error)) {
    const message =
      `${service} at ${root} does not serve the model that ${of.namesModel} names: ${error.message}; correct the name, ` +
      'or start the service with that model (`astroflow check` lists what it serves)';
    return new ServiceError('fatal', message, { service, status, cause: error });
  }
  const retryable = status === 408 || status === 429 || status >= 500;
  const kind = retryable ? 'retryable' : status === 404 && isAboutModel(error) ? 'lost' : 'fatal';
  const wait = retryAfterMs(error.headers);
  return new ServiceError(kind, `${service} at ${root} refused the request: ${error.message}`, {
    service,
    status,
    ...(retryable && wait !== undefined ? { retryAfterMs: wait } : {}),
    cause: error,
  });
}

/** A missing route answers "Not Found" and means a wrong address; a missing model or adapter says so. */
function isAboutModel(error: APIError): boolean {
  return /model|adapter/i.test(error.message);
}

function retryAfterMs(headers: Headers | undefined): number | undefined {
  const ms = Number(headers?.get('retry-after-ms') ?? Number.NaN);
  const seconds = Number(headers?.get('retry-after') ?? Number.NaN);
  const wait = Number.isFinite(ms) ? ms : seconds * 1000;
  return Number.isFinite(wait) && wait >= 0 ? wait : undefined;
}

/** The system's or the HTTP client's name for what went wrong, from the first cause that has one. */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return 'code' in error && typeof error.code === 'string' ? error.code : codeOf(error.cause);
}
