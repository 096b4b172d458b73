import { setTimeout as delay } from 'node:timers/promises';
import { ServiceError } from '../errors.ts';
import { type Answer, type Exchange, exchange, failedFuture, type HttpOptions, refusal } from './http.ts';
import type { QueueState } from './protocol.ts';

export interface TinkerOptions extends HttpOptions {
  /** Most that one operation may take, from its first request to its result. */
  timeoutMs: number;
  /** Told what the queue says while a result is pending. */
  onPending?: (state: QueueState, reason?: string) => void;
  /** Told when the service has too much to do; waiting goes on by itself. */
  onOverload?: (retryAfterMs?: number) => void;
  /** Time, injectable for tests. */
  now?: () => number;
  sleep?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

/** A submitted request: the server executes it whether or not anybody waits. */
export interface Pending<T> {
  requestId: string;
  result(): Promise<T>;
}

/** One operation: who may cancel it, and until when it must be done. */
interface Call {
  signal: AbortSignal;
  deadline: number;
}

const REQUEST_TIMEOUT_MS = 60_000;
const POLL_TIMEOUT_MS = 45_000;
const MAX_BACKOFF_MS = 30_000;
const BILLING_PAUSE_MS = 5_000;
/** A 400 without a JSON body comes from a proxy, which may recover. */
const BARE_400_TRIES = 3;
/** Polls in a row that may find nobody there (7.5 s): a longer absence is a restart, perhaps at another address. */
const ABSENT_TRIES = 4;

/** 0.5, 1, 2, … 30 s. Without jitter: a worker's calls are few, and repeatable behaviour is worth more. */
const backoffMs = (tries: number): number => Math.min(500 * 2 ** tries, MAX_BACKOFF_MS);
/** Servers hold a poll open; this only keeps one that answers at once from being asked in a tight loop. */
const pollPauseMs = (polls: number): number => (polls === 0 ? 0 : Math.min(10 * 2 ** polls, 1_000));

/**
 * Requests and promises (futures) of the Tinker API, with deadlines and waiting. Nothing that may have been executed
 * is sent again: only refusals that say so (402, 429, 503) and polls are repeated.
 */
export function tinkerTransport(options: TinkerOptions) {
  // Not the time of day, which somebody may set: a deadline must neither pass at once nor never.
  const now = options.now ?? (() => performance.now());
  const sleep = options.sleep ?? ((ms, signal) => delay(ms, undefined, { signal }));
  const begin = (signal: AbortSignal): Call => ({ signal, deadline: now() + options.timeoutMs });

  async function pause(call: Call, ms: number, otherwise: ServiceError): Promise<void> {
    if (now() + ms >= call.deadline) throw otherwise;
    await sleep(ms, call.signal);
    call.signal.throwIfAborted();
  }

  function send(call: Call, request: Pick<Exchange, 'method' | 'path' | 'body'>, timeoutMs: number): Promise<Answer> {
    const left = Math.max(1, Math.ceil(call.deadline - now()));
    return exchange(options, { ...request, timeoutMs: Math.min(timeoutMs, left), signal: call.signal });
  }

  async function request<T>(call: Call, method: 'GET' | 'POST', path: string, body?: unknown): Promise<T> {
    for (let tries = 0; ; tries++) {
      const answer = await send(call, { method, path, body }, REQUEST_TIMEOUT_MS);
      if (answer.status < 300 && answer.json !== undefined) return answer.json as T;
      const error = answer.status < 300 ? notTinker(path, answer) : refusal(options, path, answer);
      if (![402, 429, 503].includes(answer.status)) throw error;
      if (answer.status !== 402) options.onOverload?.(error.retryAfterMs);
      const wait = answer.status === 402 ? BILLING_PAUSE_MS : backoffMs(tries);
      await pause(call, error.retryAfterMs ?? wait, error);
    }
  }

  /** Long-polls until the result, its failure or the deadline. `what` names the original request in errors. */
  async function retrieve<T>(call: Call, requestId: string, what: string): Promise<T> {
    const poll = { method: 'POST', path: '/retrieve_future', body: { request_id: requestId } } as const;
    const failed = { absent: 0, refused: 0, bare400: 0 };
    for (let polls = 0; ; polls++) {
      let answer: Answer;
      try {
        answer = await send(call, poll, POLL_TIMEOUT_MS);
      } catch (error) {
        // Asking again is always safe. A poll that timed out says no more than one that was answered "try again".
        if (!(error instanceof ServiceError)) throw error;
        if (!error.timedOut && failed.absent === ABSENT_TRIES) throw error;
        await pause(call, error.timedOut ? 0 : backoffMs(failed.absent++), error);
        continue;
      }
      failed.absent = 0;
      const json = answer.json as Record<string, unknown> | undefined;
      if (answer.status === 408 || (answer.status < 300 && isPending(json))) {
        const state = String(json?.queue_state ?? 'active');
        const reason = typeof json?.queue_state_reason === 'string' ? json.queue_state_reason : undefined;
        options.onPending?.(state, reason);
        await pause(call, pollPauseMs(polls), stillPending(what, state, reason));
      } else if (answer.status < 300 && json !== undefined) {
        if ('error' in json && json.error != null) throw failedFuture(options, what, json);
        return json as T;
      } else {
        const error = refusedPoll(what, answer);
        const wait = pollAgainMs(answer, failed);
        if (wait === null) throw error;
        if (answer.status === 429 || answer.status === 503) options.onOverload?.(error.retryAfterMs);
        await pause(call, error.retryAfterMs ?? wait, error);
      }
    }
  }

  /** An unknown promise is lost, whatever the server says about it. */
  function refusedPoll(what: string, answer: Answer): ServiceError {
    const error = answer.status < 300 ? notTinker(what, answer) : refusal(options, what, answer);
    if (answer.status !== 404) return error;
    return new ServiceError('lost', error.message, { service: options.service, status: 404 });
  }

  function notTinker(path: string, answer: Answer): ServiceError {
    const message = `${options.baseUrl} answered ${path} with something else than JSON: is it a Tinker server?`;
    return new ServiceError('fatal', message, { service: options.service, status: answer.status });
  }

  function stillPending(what: string, state: QueueState, reason?: string): ServiceError {
    const queue = reason ? `${state}: ${reason}` : state;
    const message =
      `${options.service} has not finished ${what} after ${options.timeoutMs} ms (queue: ${queue}); ` +
      'if that is normal for this model, raise timeoutMs';
    const isPaused = state.startsWith('paused');
    return new ServiceError(isPaused ? 'paused' : 'ambiguous', message, { service: options.service, timedOut: true });
  }

  return {
    get: <T>(path: string, signal: AbortSignal) => request<T>(begin(signal), 'GET', path),
    post: <T>(path: string, body: object, signal: AbortSignal) => request<T>(begin(signal), 'POST', path, body),
    /** A request that is answered with a promise; both together have one deadline. */
    async submit<T>(path: string, body: object, signal: AbortSignal): Promise<Pending<T>> {
      const call = begin(signal);
      const { request_id: requestId } = await request<{ request_id: string }>(call, 'POST', path, body);
      return { requestId, result: () => retrieve<T>(call, requestId, path) };
    },
  };
}

function isPending(json: Record<string, unknown> | undefined): boolean {
  return json?.type === 'try_again' || json?.status === 'complete_metadata';
}

/** How long to wait before a refused poll is sent again, or null when the refusal is final. Counts its tries. */
function pollAgainMs({ status, json }: Answer, failed: { refused: number; bare400: number }): number | null {
  if (status === 402) return BILLING_PAUSE_MS;
  const bare = status === 400 && json === undefined && failed.bare400++ < BARE_400_TRIES;
  return bare || status === 429 || status >= 500 ? backoffMs(failed.refused++) : null;
}
