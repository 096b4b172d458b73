import { setTimeout as delay } from 'node:timers/promises';
import { ServiceError } from '../errors.ts';
import { type Answer, type Exchange, exchange, failedFuture, type HttpOptions, refusal } from './http.ts';
import type {
  ForwardBackwardInput,
  ForwardBackwardOutput,
  LoraConfig,
  QueueState,
  SampleInput,
  SampleOutput,
  ServerCapabilities,
  TinkerAdamParams,
} from './protocol.ts';

export interface TinkerOptions extends HttpOptions {
  /** Most that one operation may take, from its first request to its result. */
  timeoutMs: number;
  /** Told what the queue says while a result is pending. */
  onPending?: (state: QueueState, reason?: string) => void;
  /** Time, injectable for tests. */
  now?: () => number;
  sleep?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

/** A submitted request: the server executes it whether or not anybody waits. */
export interface Pending<T> {
  requestId: string;
  result(): Promise<T>;
}

export type TinkerClient = ReturnType<typeof tinkerClient>;

const SDK_VERSION = 'astroflow-0.1';
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
 * A client of the Tinker API (training and sampling over HTTP and JSON). Training requests of one model carry a dense
 * `seq_id` from 1; the caller counts. Nothing that may have been executed is sent again: a broken submit is
 * `ambiguous`, and the caller starts over from a checkpoint.
 */
export function tinkerClient(options: TinkerOptions) {
  const now = options.now ?? Date.now;
  const sleep = options.sleep ?? ((ms, signal) => delay(ms, undefined, { signal }));

  type Call = { signal: AbortSignal; deadline: number };
  const begin = (signal: AbortSignal): Call => ({ signal, deadline: now() + options.timeoutMs });

  async function pause(call: Call, ms: number, otherwise: ServiceError): Promise<void> {
    if (now() + ms >= call.deadline) throw otherwise;
    await sleep(ms, call.signal);
    call.signal.throwIfAborted();
  }

  function send(call: Call, request: Omit<Exchange, 'timeoutMs' | 'signal'>, timeoutMs = REQUEST_TIMEOUT_MS) {
    const left = Math.max(1, call.deadline - now());
    return exchange(options, { ...request, timeoutMs: Math.min(timeoutMs, left), signal: call.signal });
  }

  /** One request; waits out what certainly was not executed (402, 429, 503). */
  async function request<T>(call: Call, method: 'GET' | 'POST', path: string, body?: unknown): Promise<T> {
    for (let tries = 0; ; tries++) {
      const answer = await send(call, { method, path, ...(body === undefined ? {} : { body }) });
      if (answer.status < 300 && answer.json !== undefined) return answer.json as T;
      const error = answer.status < 300 ? notJson(path, answer) : refusal(options, path, answer);
      if (![402, 429, 503].includes(answer.status)) throw error;
      const wait = answer.status === 402 ? BILLING_PAUSE_MS : backoffMs(tries);
      await pause(call, error.retryAfterMs ?? wait, error);
    }
  }

  function notJson(path: string, answer: Answer): ServiceError {
    const message = `${options.baseUrl} answered ${path} with something else than JSON: is it a Tinker server?`;
    return new ServiceError('fatal', message, { service: options.service, status: answer.status });
  }

  /** Long-polls a future until its result, its failure or the deadline. */
  async function retrieve<T>(call: Call, requestId: string, what: string): Promise<T> {
    let failures = 0;
    let bare400 = 0;
    let absent = 0;
    for (let polls = 0; ; polls++) {
      let answer: Answer;
      const path = '/retrieve_future';
      try {
        answer = await send(call, { method: 'POST', path, body: { request_id: requestId } }, POLL_TIMEOUT_MS);
      } catch (error) {
        // Asking again is always safe, and the result may still be there once the connection is back.
        if (!(error instanceof ServiceError) || absent === ABSENT_TRIES) throw error;
        await pause(call, backoffMs(absent++), error);
        continue;
      }
      absent = 0;
      const json = answer.json as Record<string, unknown> | undefined;
      if (answer.status === 408 || (answer.status < 300 && isPending(json))) {
        const state = String(json?.queue_state ?? 'active');
        const reason = typeof json?.queue_state_reason === 'string' ? json.queue_state_reason : undefined;
        options.onPending?.(state, reason);
        await pause(call, pollPauseMs(polls), stillPending(what, state, reason));
        continue;
      }
      if (answer.status < 300 && json !== undefined) {
        if ('error' in json && json.error != null) throw failedFuture(options, what, { ...json, error: json.error });
        return json as T;
      }
      const error = refusal(options, what, answer);
      const status = answer.status;
      if (status === 402) await pause(call, BILLING_PAUSE_MS, error);
      else if (status === 429 || status >= 500) await pause(call, error.retryAfterMs ?? backoffMs(failures++), error);
      else if (status === 400 && json === undefined && bare400++ < BARE_400_TRIES) {
        await pause(call, backoffMs(failures++), error);
      } else if (status === 404 || status === 410) {
        throw new ServiceError('lost', error.message, { service: options.service, status });
      } else throw error;
    }
  }

  function isPending(json: Record<string, unknown> | undefined): boolean {
    return json?.type === 'try_again' || json?.status === 'complete_metadata';
  }

  function stillPending(what: string, state: QueueState, reason?: string): ServiceError {
    const queue = reason ? `${state}: ${reason}` : state;
    const message = `${options.service} has not finished ${what} after ${options.timeoutMs} ms (queue: ${queue}); if that is normal for this model, raise timeoutMs`;
    return new ServiceError(state.startsWith('paused') ? 'paused' : 'ambiguous', message, { service: options.service });
  }

  async function submit<T>(path: string, body: object, signal: AbortSignal): Promise<Pending<T>> {
    const call = begin(signal);
    const { request_id: requestId } = await request<{ request_id: string }>(call, 'POST', path, body);
    return { requestId, result: () => retrieve<T>(call, requestId, path) };
  }

  return {
    /** Liveness only: a server may say ok before its model is loaded. */
    health: (signal: AbortSignal) => request<{ status: string }>(begin(signal), 'GET', '/healthz'),
    capabilities: (signal: AbortSignal) =>
      request<ServerCapabilities>(begin(signal), 'GET', '/get_server_capabilities'),

    createSession: async (signal: AbortSignal): Promise<string> => {
      const body = { tags: ['astroflow'], user_metadata: null, sdk_version: SDK_VERSION, type: 'create_session' };
      return (await request<{ session_id: string }>(begin(signal), 'POST', '/create_session', body)).session_id;
    },
    heartbeat: (sessionId: string, signal: AbortSignal) =>
      request<object>(begin(signal), 'POST', '/session_heartbeat', {
        session_id: sessionId,
        type: 'session_heartbeat',
      }),

    /** `lora` null trains all parameters, where the server can. */
    createModel: (
      model: { sessionId: string; modelSeqId: number; baseModel: string; lora: LoraConfig | null },
      signal: AbortSignal,
    ) =>
      submit<{ model_id: string }>(
        '/create_model',
        {
          session_id: model.sessionId,
          model_seq_id: model.modelSeqId,
          base_model: model.baseModel,
          ...(model.lora === null ? {} : { lora_config: model.lora }),
          type: 'create_model',
        },
        signal,
      ),
    unloadModel: (modelId: string, signal: AbortSignal) =>
      submit<object>('/unload_model', { model_id: modelId, type: 'unload_model' }, signal),

    /** Only allowed as a model's first request. */
    loadWeights: (modelId: string, seqId: number, path: string, optimizer: boolean, signal: AbortSignal) =>
      submit<object>(
        '/load_weights',
        { model_id: modelId, seq_id: seqId, path, optimizer, type: 'load_weights' },
        signal,
      ),
    forwardBackward: (modelId: string, seqId: number, input: ForwardBackwardInput, signal: AbortSignal) =>
      submit<ForwardBackwardOutput>(
        '/forward_backward',
        { model_id: modelId, seq_id: seqId, forward_backward_input: input, type: 'forward_backward' },
        signal,
      ),
    optimStep: (modelId: string, seqId: number, adam: TinkerAdamParams, signal: AbortSignal) =>
      submit<{ metrics?: Record<string, number> | null }>(
        '/optim_step',
        { model_id: modelId, seq_id: seqId, adam_params: adam, type: 'optim_step' },
        signal,
      ),
    /** Weights and optimiser state under a name; a name that exists is refused. */
    saveWeights: (modelId: string, seqId: number, name: string, ttlSeconds: number | undefined, signal: AbortSignal) =>
      submit<{ path: string }>(
        '/save_weights',
        { model_id: modelId, seq_id: seqId, path: name, ...ttl(ttlSeconds), type: 'save_weights' },
        signal,
      ),
    saveWeightsForSampler: (modelId: string, seqId: number, name: string, signal: AbortSignal) =>
      submit<{ path: string }>(
        '/save_weights_for_sampler',
        { model_id: modelId, seq_id: seqId, path: name, type: 'save_weights_for_sampler' },
        signal,
      ),

    sample: (input: SampleInput, signal: AbortSignal) =>
      submit<SampleOutput>('/asample', { ...input, type: 'sample' }, signal),
  };
}

const ttl = (seconds: number | undefined) => (seconds === undefined ? {} : { ttl_seconds: seconds });
