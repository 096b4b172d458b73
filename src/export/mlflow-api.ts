import { setTimeout as delay } from 'node:timers/promises';
import { saidBy } from '../core/foreign-text.ts';
import { boundedAnswer } from '../services/bounded-body.ts';
import { ExportError } from './folder.ts';

/** One answer may take this long; most take milliseconds. */
const TIMEOUT_MS = 30_000;
/** Calls that a busy or restarting server did not answer are made again this often, over about half a minute. */
const RETRIES = 5;
const MAX_WAIT_MS = 15_000;

/** A call that the server has understood and refused. */
export class MlflowRefusal extends Error {
  override name = 'MlflowRefusal';
  /** `RESOURCE_DOES_NOT_EXIST`, `INVALID_PARAMETER_VALUE`, …; empty where the answer had none. */
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** A call without an answer: it may have been carried out. */
class Unanswered extends Error {
  readonly waitMs: number | undefined;

  constructor(why: string, waitMs?: number) {
    super(why);
    this.waitMs = waitMs;
  }
}

export interface MlflowApi {
  get<T>(path: string, query: Record<string, string>): Promise<T>;
  /** Made again where no answer came: for what may happen twice. */
  post<T>(path: string, body: object): Promise<T>;
  /** Looks for something, or makes it; where making it got no answer, begins with looking again. */
  findOrMake<T>(
    find: () => Promise<T | null>,
    path: string,
    body: () => object,
    made: (answer: never) => T,
  ): Promise<T>;
}

export interface MlflowOptions {
  url: string;
  env: NodeJS.ProcessEnv;
  signal: AbortSignal;
  sleep?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

/**
 * MLflow's REST API (2.0, which servers of versions 2 and 3 speak), with the client's own variables for access:
 * `MLFLOW_TRACKING_TOKEN`, or `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`.
 *
 * @throws ExportError where `url` is not a server's
 */
export function mlflowApi({ url, env, signal, sleep = realSleep }: MlflowOptions): MlflowApi {
  const base = serverUrl(url);
  const headers: Record<string, string> = { 'content-type': 'application/json', ...authorization(base, env) };
  base.username = base.password = '';
  const root = `${base.href.replace(/\/+$/, '')}/api/2.0/mlflow/`;

  async function patiently<T>(task: () => Promise<T>): Promise<T> {
    for (let tries = 0; ; tries++) {
      try {
        return await task();
      } catch (error) {
        if (!(error instanceof Unanswered)) throw error;
        if (tries === RETRIES)
          throw new ExportError(`MLflow at ${base.origin}: ${error.message}; is it up and reachable?`);
        await sleep(Math.min(error.waitMs ?? 500 * 2 ** tries, MAX_WAIT_MS), signal);
      }
    }
  }

  async function once<T>(path: string, init: { method: string; body?: string }): Promise<T> {
    try {
      const bounded = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
      const response = boundedAnswer(
        await fetch(root + path, { ...init, headers, redirect: 'manual', signal: bounded }),
      );
      const text = await response.text();
      if (response.ok) return (text === '' ? {} : JSON.parse(text)) as T;
      if (response.status !== 429 && response.status < 500)
        throw refusal(response.status, text, path, headers.authorization);
      const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
      const waitMs = Number.isFinite(seconds) ? seconds * 1000 : undefined;
      throw new Unanswered(`it answered ${response.status} to ${path}`, waitMs);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof MlflowRefusal || error instanceof Unanswered) throw error;
      const cause = (error as Error).cause;
      throw new Unanswered(`no answer to ${path} (${cause instanceof Error ? cause.message : error})`);
    }
  }

  const post = <T>(path: string, body: object) => once<T>(path, { method: 'POST', body: JSON.stringify(body) });
  return {
    get: (path, query) => patiently(() => once(`${path}?${new URLSearchParams(query)}`, { method: 'GET' })),
    post: (path, body) => patiently(() => post(path, body)),
    async findOrMake(find, path, body, made) {
      return patiently(async () => (await find()) ?? made(await post(path, body())));
    },
  };
}

const realSleep = (ms: number, signal: AbortSignal) => delay(ms, undefined, { signal });

/** @param sent what the answer may repeat, and is not shown */
function refusal(status: number, text: string, path: string, sent: string | undefined): MlflowRefusal {
  const secret = sent?.split(' ')[1];
  try {
    const { error_code, message } = JSON.parse(text) as { error_code?: string; message?: string };
    return new MlflowRefusal(error_code ?? '', `MLflow refused ${path}: ${saidBy(String(message ?? status), secret)}`);
  } catch {
    const access = status === 401 || status === 403;
    const advice = access
      ? ' (set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD)'
      : '';
    return new MlflowRefusal(
      '',
      `MLflow answered ${status} to ${path}${advice}: ${saidBy(text.trim(), secret).slice(0, 200)}`,
    );
  }
}

function serverUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
  const store = /^(file|sqlite|postgresql|mysql|mssql)\b/.test(text) || url === null ? text : null;
  throw new ExportError(
    `${text} is not the address of an MLflow server. ` +
      (store === null
        ? 'Write one, such as http://127.0.0.1:5000, into --mlflow or MLFLOW_TRACKING_URI.'
        : `Astroflow speaks to servers: start one over that store with\n  mlflow server --backend-store-uri ${store} --port 5000\n` +
          'and then pass --mlflow http://127.0.0.1:5000'),
  );
}

function authorization(url: URL, env: NodeJS.ProcessEnv): Record<string, string> {
  const { MLFLOW_TRACKING_TOKEN: token } = env;
  if (token) return { authorization: `Bearer ${token}` };
  const user = env.MLFLOW_TRACKING_USERNAME ?? decodeURIComponent(url.username);
  const password = env.MLFLOW_TRACKING_PASSWORD ?? decodeURIComponent(url.password);
  if (user === '') return {};
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` };
}
