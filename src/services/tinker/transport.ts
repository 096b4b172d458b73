import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { exchangedKey, fixedKey } from './auth.ts';
import { TinkerError } from './errors.ts';
import {
  type Answer,
  type Body,
  type Exchange,
  exchange,
  type HttpOptions,
  jsonBody,
  PROTOBUF,
  serviceName,
} from './http.ts';
import type { QueueState } from './protocol.ts';
import { failedFuture, failureOf, refusal, shouldRetry } from './refusal.ts';

/** Told what happens while an operation waits, which it goes on doing by itself. */
export interface Watch {
  /** What the queue says while a result is pending. */
  onPending?: ((state: QueueState, reason?: string) => void) | undefined;
  /** The service has too much to do. */
  onOverload?: ((retryAfterMs?: number) => void) | undefined;
}

export interface TransportOptions extends HttpOptions, Watch {
  /** Most that one operation may take, from its first request to its result. */
  timeoutMs: number;
  /** Exchange the key for short-lived tokens (`pjwt_auth_enabled` of `/client/config`). */
  tokenAuth?: boolean;
  /** Longest wait for a billing problem (402) to be solved; the operation's deadline holds too. */
  maxBillingPauseMs?: number;
  /** Time, injectable for tests. `now` for deadlines, `today` (since 1970) for tokens; both in milliseconds. */
  now?: () => number;
  today?: () => number;
  sleep?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

/** A submitted request: the server executes it whether or not anybody waits. */
export interface Pending<T> {
  requestId: string;
  result(): Promise<T>;
}

/** A request that is answered with a promise. */
export interface Submission<T> {
  /** Below `/api/v1`. */
  path: string;
  body: Body;
  /** Names the request to servers that log it (`X-Tinker-Request-Type`). */
  type: string;
  headers?: Record<string, string>;
  /** The server takes a repetition for the same request, or executing it twice does no harm. */
  repeatable: boolean;
  /** A repetition that is answered 409 was executed the first time; this finds its result. */
  afterConflict?: (signal: AbortSignal) => Promise<T>;
  /** Reads a result that comes as protobuf; some servers send it without being asked. */
  decode?: (bytes: Uint8Array) => T;
  /** Ask for it. */
  wantsProtobuf?: boolean;
  /** Tell the server when the caller gives up, so that it works for nobody no longer. */
  cancels?: boolean;
  /** Instead of the client's. */
  watch?: Watch | undefined;
}

/** One operation: who may cancel it, and until when it must be done. */
interface Call {
  signal: AbortSignal;
  deadline: number;
  watch: Watch;
}

type Request = Pick<Exchange, 'method' | 'path' | 'headers'> & { body?: Body };

const REQUEST_TIMEOUT_MS = 60_000;
const POLL_TIMEOUT_MS = 45_000;
const CANCEL_TIMEOUT_MS = 5_000;
const MAX_BACKOFF_MS = 30_000;
const BILLING_PAUSE_MS = 5_000;
/** A 400 without a JSON body comes from a proxy, which may recover. */
const BARE_400_TRIES = 3;
/** Requests in a row that may find nobody there (7.5 s): a longer absence is a restart, perhaps at another address. */
const ABSENT_TRIES = 4;
/** Promises that may be lost one after the other before their request is given up. */
const LOST_TRIES = 3;

/** 0.5, 1, 2, … 30 s. Without jitter: a process's calls are few, and repeatable behaviour is worth more. */
const backoffMs = (tries: number): number => Math.min(500 * 2 ** tries, MAX_BACKOFF_MS);
/** Servers hold a poll open; this only keeps one that answers at once from being asked in a tight loop. */
const pollPauseMs = (polls: number): number => (polls === 0 ? 0 : Math.min(10 * 2 ** polls, 1_000));

export type Transport = ReturnType<typeof tinkerTransport>;

/**
 * Requests and promises (futures) of the Tinker API, with deadlines and waiting. Nothing that may have been executed is
 * sent again unless it is `repeatable`: otherwise only refusals that say so (402, 429, 503) and polls are repeated.
 */
export function tinkerTransport(options: TransportOptions) {
  // Not the time of day, which somebody may set: a deadline must neither pass at once nor never.
  const now = options.now ?? (() => performance.now());
  const sleep = options.sleep ?? ((ms, signal) => delay(ms, undefined, { signal }));
  const service = serviceName(options);
  const begin = (signal: AbortSignal, watch: Watch = options): Call => ({
    signal,
    deadline: now() + options.timeoutMs,
    watch,
  });
  const auth = options.tokenAuth ? exchangedKey(askForToken, options.today ?? Date.now) : fixedKey(options.apiKey);

  async function askForToken(): Promise<string> {
    const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
    const token = { method: 'POST', path: '/auth/token', body: jsonBody({}), timeoutMs: REQUEST_TIMEOUT_MS } as const;
    const answer = await exchange(options, options.apiKey, { ...token, signal });
    const jwt = (answer.json as { jwt?: unknown } | undefined)?.jwt;
    if (answer.status < 300 && typeof jwt === 'string') return jwt;
    throw answer.status < 300 ? notTinker('/auth/token', answer) : refusal(options, '/auth/token', answer);
  }

  async function pause(call: Call, ms: number, otherwise: TinkerError): Promise<void> {
    if (now() + ms >= call.deadline) throw otherwise;
    await sleep(ms, call.signal);
    call.signal.throwIfAborted();
  }

  async function send(call: Call, request: Request, timeoutMs: number): Promise<Answer> {
    for (let renewed = false; ; renewed = true) {
      const key = await auth.key(call.signal);
      const left = Math.max(1, Math.ceil(call.deadline - now()));
      const limited = { ...request, timeoutMs: Math.min(timeoutMs, left), signal: call.signal };
      const answer = await exchange(options, key, limited);
      if (answer.status !== 401 || renewed || !auth.refused(key)) return answer;
    }
  }

  /** A bill that is not paid is waited for until the call's deadline or the longest pause, whichever comes first. */
  function billing() {
    let since: number | null = null;
    return (error: TinkerError): number => {
      since ??= now();
      if (now() + BILLING_PAUSE_MS - since > (options.maxBillingPauseMs ?? Number.POSITIVE_INFINITY)) throw error;
      return BILLING_PAUSE_MS;
    };
  }

  /**
   * Any answer below 400. @throws TinkerError
   *
   * @param repeatable send again what may or may not have been executed; `onRepeat` is told before that happens
   */
  async function request(
    call: Call,
    what: Request,
    repeatable: boolean,
    { onRepeat, busyMs }: { onRepeat?: () => void; busyMs?: number | undefined } = {},
  ): Promise<Answer> {
    const billingPause = billing();
    const headers = what.method === 'GET' ? what.headers : { 'x-idempotency-key': randomUUID(), ...what.headers };
    let doubtful = 0;
    for (let tries = 0; ; tries++) {
      let error: TinkerError;
      let asked: boolean | null = null;
      try {
        const answer = await send(call, { ...what, ...(headers === undefined ? {} : { headers }) }, REQUEST_TIMEOUT_MS);
        if (answer.status < 400) return answer;
        error = refusal(options, what.path, answer);
        asked = shouldRetry(answer.headers);
      } catch (thrown) {
        if (!(thrown instanceof TinkerError)) throw thrown;
        error = thrown;
      }
      const { status } = error;
      if (asked === false) throw error;
      if (status === 402 || status === 429 || status === 503) {
        if (status !== 402) call.watch.onOverload?.(error.retryAfterMs);
        const busy = (status === 503 ? busyMs : undefined) ?? backoffMs(tries);
        await pause(call, status === 402 ? billingPause(error) : (error.retryAfterMs ?? busy), error);
      } else if (asked === true || (repeatable && error.kind === 'ambiguous' && doubtful < ABSENT_TRIES)) {
        doubtful += 1;
        onRepeat?.();
        await pause(call, error.retryAfterMs ?? backoffMs(tries), error);
      } else throw error;
    }
  }

  async function requestJson<T>(call: Call, what: Request, repeatable: boolean): Promise<T> {
    const answer = await request(call, what, repeatable);
    // 204: done, and nothing to say.
    if (answer.status === 204) return undefined as T;
    if (answer.json === undefined) throw notTinker(what.path, answer);
    return answer.json as T;
  }

  /** The promise of a submission, or its result where a repetition found out that it was done. */
  async function place<T>(call: Call, submission: Submission<T>): Promise<{ requestId: string } | { result: T }> {
    const { path, body, headers, repeatable, afterConflict } = submission;
    const what: Request = { method: 'POST', path, body, ...(headers === undefined ? {} : { headers }) };
    let isRepeated = false;
    let answer: Answer;
    try {
      const onRepeat = () => {
        isRepeated = true;
      };
      answer = await request(call, what, repeatable, { onRepeat });
    } catch (error) {
      const conflict = isRepeated && error instanceof TinkerError && error.status === 409;
      if (!conflict || afterConflict === undefined) throw error;
      return { result: await afterConflict(call.signal) };
    }
    const requestId = (answer.json as { request_id?: unknown } | undefined)?.request_id;
    if (typeof requestId !== 'string') throw notTinker(path, answer);
    return { requestId };
  }

  /** Long-polls until the result, its failure or the deadline. */
  async function retrieve<T>(
    call: Call,
    requestId: string,
    { path, type, decode, wantsProtobuf }: Submission<T>,
  ): Promise<T> {
    const billingPause = billing();
    const failed = { absent: 0, refused: 0, bare400: 0 };
    let wantsAll = false;
    for (let polls = 0; ; polls++) {
      const body = jsonBody({ request_id: requestId, ...(wantsAll ? { allow_metadata_only: false } : {}) });
      const headers = {
        'x-tinker-request-iteration': String(polls),
        'x-tinker-request-type': type,
        ...(wantsProtobuf ? { accept: `${PROTOBUF}, application/json` } : {}),
      };
      let answer: Answer;
      try {
        answer = await send(call, { method: 'POST', path: '/retrieve_future', body, headers }, POLL_TIMEOUT_MS);
      } catch (error) {
        // Asking again is always safe. A poll that timed out says no more than one that was answered "try again".
        if (!(error instanceof TinkerError)) throw error;
        if (!error.timedOut && failed.absent === ABSENT_TRIES) throw error;
        await pause(call, error.timedOut ? 0 : backoffMs(failed.absent++), error);
        continue;
      }
      failed.absent = 0;
      const ok = answer.status < 300;
      if (ok && answer.protobuf !== undefined && decode !== undefined) return decode(answer.protobuf);
      const json = answer.json as Record<string, unknown> | undefined;
      if (ok && json?.status === 'complete_metadata') {
        wantsAll = true;
        await pause(call, pollPauseMs(polls), stillPending(requestId, path, 'active'));
      } else if (answer.status === 408 || (ok && (json?.type === 'try_again' || json?.status === 'pending'))) {
        const state = String(json?.queue_state ?? 'active');
        const reason = typeof json?.queue_state_reason === 'string' ? json.queue_state_reason : undefined;
        call.watch.onPending?.(state, reason);
        await pause(call, pollPauseMs(polls), stillPending(requestId, path, state, reason));
      } else if (ok && json !== undefined) {
        const failure = failureOf(json);
        if (failure !== null) throw failedFuture(options, path, requestId, failure);
        return json as T;
      } else {
        const error = refusedPoll(path, requestId, answer);
        const wait = answer.status === 402 ? billingPause(error) : pollAgainMs(answer, failed);
        if (wait === null) throw error;
        if (answer.status === 429 || answer.status === 503) call.watch.onOverload?.(error.retryAfterMs);
        await pause(call, error.retryAfterMs ?? wait, error);
      }
    }
  }

  /** An unknown promise is lost, whatever the server says about it. Some servers answer a failed request with a 400. */
  function refusedPoll(path: string, requestId: string, answer: Answer): TinkerError {
    const failure = answer.status === 400 && answer.json ? failureOf(answer.json as Record<string, unknown>) : null;
    if (failure !== null) {
      const category = failure.category === 'unknown' ? 'user' : failure.category;
      return failedFuture(options, path, requestId, { ...failure, category });
    }
    const error = answer.status < 300 ? notTinker(path, answer) : refusal(options, path, answer);
    const kind = answer.status === 404 ? 'lost' : error.kind;
    const { status, retryAfterMs } = error;
    return new TinkerError(kind, error.message, {
      service,
      path,
      requestId,
      ...(status === undefined ? {} : { status }),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  }

  function notTinker(path: string, answer: Answer): TinkerError {
    const message = `${options.baseUrl} answered ${path} with something else than JSON: is it a Tinker server?`;
    return new TinkerError('fatal', message, { service, path, status: answer.status });
  }

  function stillPending(requestId: string, path: string, state: QueueState, reason?: string): TinkerError {
    const queue = reason ? `${state}: ${reason}` : state;
    const message =
      `${service} has not finished ${path} after ${options.timeoutMs} ms (queue: ${queue}); ` +
      'if that is normal for this model, raise timeoutMs';
    const details = { service, path, requestId, timedOut: true };
    return new TinkerError(state.startsWith('paused') ? 'paused' : 'pending', message, details);
  }

  /** A promise that the server has lost (410) is asked for anew, where that does no harm. */
  async function settle<T>(call: Call, requestId: string, submission: Submission<T>): Promise<T> {
    let id = requestId;
    for (let lost = 0; ; lost++) {
      try {
        return await retrieve(call, id, submission);
      } catch (error) {
        if (call.signal.aborted && submission.cancels) cancel(id);
        const isGone = error instanceof TinkerError && error.status === 410;
        if (!isGone || !submission.repeatable || lost === LOST_TRIES) throw error;
        const placed = await place(call, submission);
        if ('result' in placed) return placed.result;
        id = placed.requestId;
      }
    }
  }

  /** Nobody waits for it, and a server that cannot cancel finishes by itself. */
  function cancel(requestId: string): void {
    const body = jsonBody({ request_id: requestId });
    const what: Request = { method: 'POST', path: '/cancel_future', body };
    const call = begin(AbortSignal.timeout(CANCEL_TIMEOUT_MS));
    send(call, what, CANCEL_TIMEOUT_MS).catch(() => {});
  }

  return {
    now,
    sleep,
    /** What goes into `X-API-Key` at this moment. */
    key: auth.key,
    /** Reads, and other calls that may be repeated. */
    json: <T>(method: Exchange['method'], path: string, body: object | undefined, signal: AbortSignal) =>
      requestJson<T>(
        begin(signal),
        { method, path, ...(body === undefined ? {} : { body: jsonBody(body) }) },
        method === 'GET',
      ),
    /** As it is answered, for redirects. @param busyMs how long a 503 that gives no time is waited for */
    raw: (path: string, signal: AbortSignal, busyMs?: number) =>
      request(begin(signal), { method: 'GET', path }, true, { busyMs }),
    /** Both the request and its result have one deadline. */
    async submit<T>(submission: Submission<T>, signal: AbortSignal): Promise<Pending<T>> {
      const call = begin(signal, submission.watch);
      const placed = await place(call, submission);
      if ('result' in placed) return { requestId: '', result: async () => placed.result };
      return { requestId: placed.requestId, result: () => settle(call, placed.requestId, submission) };
    },
    /** The result of a promise that was given earlier. */
    retrieve: <T>(
      requestId: string,
      submission: Pick<Submission<T>, 'path' | 'type' | 'decode' | 'wantsProtobuf'>,
      signal: AbortSignal,
    ) => retrieve<T>(begin(signal), requestId, { ...submission, body: jsonBody({}), repeatable: false }),
  };
}

/** How long to wait before a refused poll is sent again, or null when the refusal is final. Counts its tries. */
function pollAgainMs({ status, json, headers }: Answer, failed: { refused: number; bare400: number }): number | null {
  const asked = shouldRetry(headers);
  if (asked === false) return null;
  const bare = status === 400 && json === undefined && failed.bare400++ < BARE_400_TRIES;
  return asked || bare || status === 429 || status >= 500 ? backoffMs(failed.refused++) : null;
}
