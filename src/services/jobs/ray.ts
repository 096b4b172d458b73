import { setTimeout as delay } from 'node:timers/promises';
import { saidBy } from '../../core/foreign-text.ts';
import { ServiceError } from '../errors.ts';
import type { JobBackend, JobState, JobStatus } from './jobs.ts';
import { plainRequest } from './plain-request.ts';
import { shellCommand } from './shell.ts';

const service = 'the Ray cluster (policy.trainer.launcher)';

/** Ray ends a driver with SIGTERM and kills it after some seconds. */
const STOP_MS = 60_000;
const LOOK_MS = 500;

export interface RayOptions {
  /** Of the dashboard: `http://head:8265`. Read at each call. */
  connection(): { address: string; token: string | undefined };
  /** Of one request. */
  timeoutMs: number;
  /** Injectable for tests. */
  sleep?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

/** Ray answers with the whole log each time; from this length on only its end is asked for. */
const LONG_LOG = 1 << 20;
/** So many lines of it. */
const END_LINES = 200;
/** Ray puts the end of the log behind the reason; that is read where it lies. */
const MAX_MESSAGE = 1_000;

/** What the REST API says of a job (Ray 2.60); more fields are ignored. */
interface RayJob {
  status: 'PENDING' | 'RUNNING' | 'STOPPED' | 'SUCCEEDED' | 'FAILED';
  message?: string | null;
  error_type?: string | null;
  driver_exit_code?: number | null;
  driver_node_id?: string | null;
}

const statusOf: Record<RayJob['status'], JobStatus> = {
  PENDING: 'pending',
  RUNNING: 'running',
  STOPPED: 'stopped',
  SUCCEEDED: 'succeeded',
  FAILED: 'failed',
};

/** Jobs of a Ray cluster by its REST API. Ids live as long as the cluster's head remembers them. */
export function rayJobs({ connection, timeoutMs, sleep = defaultSleep }: RayOptions): JobBackend {
  /** Gives the text of an answer; null for 404. */
  async function request(
    method: 'GET' | 'POST',
    path: string,
    signal: AbortSignal,
    body?: object,
  ): Promise<string | null> {
    const { address, token } = connection();
    const url = `${address}${path}`;
    try {
      const { status, text } = await plainRequest(method, url, {
        headers: {
          ...(body && { 'content-type': 'application/json' }),
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
        },
        ...(body && { body: JSON.stringify(body) }),
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      });
      if (status >= 200 && status < 300) return text;
      if (status === 404) return null;
      throw refusal(`${method} ${path}`, status, saidBy(lastWords(text), token));
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ServiceError) throw error;
      const message = `${service} at ${address} did not answer ${method} ${path}: ${reason(error)}`;
      throw new ServiceError('retryable', message, { service, cause: error });
    }
  }

  async function find(id: string, signal: AbortSignal): Promise<JobState | null> {
    const text = await request('GET', `/api/jobs/${encodeURIComponent(id)}`, signal);
    return text === null ? null : toState(parse<RayJob>(text));
  }

  return {
    /** A second job of one id is refused with HTTP 500, so it is the look at the job that decides. */
    async submit({ id, command, env, folder, resources }, signal) {
      if ((await find(id, signal)) !== null) return;
      try {
        const answer = await request('POST', '/api/jobs/', signal, {
          submission_id: id,
          entrypoint: `cd ${shellCommand([folder])} && exec ${shellCommand(command)}`,
          runtime_env: { env_vars: env },
          metadata: { launcher: 'astroflow' },
          ...(resources.cpus !== undefined && { entrypoint_num_cpus: resources.cpus }),
          ...(resources.gpus !== undefined && { entrypoint_num_gpus: resources.gpus }),
        });
        if (answer === null)
          throw new ServiceError(
            'fatal',
            `${connection().address} has no Ray Jobs API: is it the dashboard's address?`,
            {
              service,
            },
          );
      } catch (error) {
        signal.throwIfAborted();
        if ((await find(id, signal)) === null) throw error;
      }
    },

    get: find,

    /** Behind 1 MiB, only the last lines, and the position no longer moves. */
    async logs(id, after, signal) {
      const job = encodeURIComponent(id);
      if (after >= LONG_LOG) {
        const found = await request('GET', `/api/jobs/${job}`, signal);
        const node = found === null ? null : parse<RayJob>(found).driver_node_id;
        if (!node) return { text: '', next: after };
        const end = `/api/v0/logs/file?node_id=${node}&filename=job-driver-${job}.log&lines=${END_LINES}`;
        return { text: (await request('GET', end, signal)) ?? '', next: after };
      }
      const text = await request('GET', `/api/jobs/${job}/logs`, signal);
      const logs = text === null ? '' : (parse<{ logs?: string | null }>(text).logs ?? '');
      return { text: logs.slice(after), next: Math.max(after, logs.length) };
    },

    /**
     * Of a job that waits, Ray keeps the request and begins it only to end it; of one that it has just accepted, it does
     * not yet, and says so.
     */
    async stop(id, signal) {
      let isNoted = false;
      for (let waited = 0; waited < STOP_MS; waited += LOOK_MS) {
        const status = (await find(id, signal))?.status;
        if (status !== 'pending' && status !== 'running') return;
        if (!isNoted) {
          const answer = await request('POST', `/api/jobs/${encodeURIComponent(id)}/stop`, signal);
          isNoted = answer !== null && parse<{ stopped: boolean }>(answer).stopped;
        }
        if (isNoted && status === 'pending') return;
        await sleep(LOOK_MS, signal);
      }
    },
  };
}

const defaultSleep = (ms: number, signal: AbortSignal) => delay(ms, undefined, { signal });

/**
 * `error_type` tells a program that ended with an error from everything around it: the environment's set-up, the
 * supervisor, the node. A program that was killed (a negative code is the signal's) was the machine's doing too.
 */
function toState({ status, message, error_type: type, driver_exit_code: code }: RayJob): JobState {
  const exitCode = code ?? null;
  const killed = exitCode !== null && (exitCode === -9 || exitCode === -15 || exitCode === 137 || exitCode === 143);
  const byProgram = !killed && (type === 'JOB_ENTRYPOINT_COMMAND_ERROR' || (type == null && exitCode !== null));
  return {
    status: statusOf[status] ?? 'running',
    message:
      [type, byProgram ? message?.split(', last available logs')[0] : message]
        .filter(Boolean)
        .join(': ')
        .slice(0, MAX_MESSAGE) || status,
    exitCode,
    cause: status === 'FAILED' ? (byProgram ? 'program' : 'infrastructure') : null,
  };
}

function refusal(what: string, status: number, said: string): ServiceError {
  const kind = status === 429 || status >= 500 ? 'retryable' : 'fatal';
  const hint = status === 401 || status === 403 ? ' (set policy.trainer.launcher.token)' : '';
  return new ServiceError(kind, `${service} refused ${what} (${status})${hint}: ${said}`, { service, status });
}

/** Errors are plain text, tracebacks in tracebacks included: the last line with a word is what went wrong. */
function lastWords(text: string): string {
  const line = text.split('\n').findLast((one) => /\w/.test(one)) ?? '';
  return line.trim().slice(0, 500);
}

function parse<T>(text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new ServiceError('fatal', `${service} answered something else than JSON: is it the dashboard's address?`, {
      service,
    });
  }
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}
