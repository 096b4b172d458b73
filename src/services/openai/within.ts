import { ServiceError } from '../errors.ts';
import type { OpenAiService } from './client.ts';
import { toServiceError } from './errors.ts';

export interface Within {
  /** The server's address, for errors. */
  root: string;
  of: OpenAiService;
  timeoutMs: number;
  /** Who may give up, and is told so with the signal's own reason. */
  caller: AbortSignal;
  /** Ends the work as well, where there is more than the caller; it includes the caller. */
  signal?: AbortSignal;
}

/**
 * Talks to a server within one deadline, from the first request to the last byte: the client's own timer stops at the
 * headers, so a body that never ends would be waited for without limit.
 *
 * @throws ServiceError, or the reason of the caller's signal
 */
export async function within<T>(
  { root, of, timeoutMs, caller, signal = caller }: Within,
  talk: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), timeoutMs);
  try {
    // The client leaves a listener on every signal it is given: each exchange gets one of its own.
    return await talk(AbortSignal.any([signal, deadline.signal]));
  } catch (error) {
    caller.throwIfAborted();
    if (deadline.signal.aborted && !signal.aborted) throw tooLate(of, root, timeoutMs, error);
    throw toServiceError(error, root, of, caller);
  } finally {
    clearTimeout(timer);
  }
}

function tooLate(of: OpenAiService, root: string, timeoutMs: number, cause: unknown): ServiceError {
  const message = `${of.name} at ${root} did not answer in time (${timeoutMs} ms); raise ${of.path}.timeoutMs if that is normal`;
  return new ServiceError('retryable', message, { service: of.name, timedOut: true, cause });
}
