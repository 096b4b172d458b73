import { type FailureKind, failed, type Health, healthy, isDue, takesPart } from '../../core/health.ts';
import type { Candidate } from '../../core/routing.ts';
import { ServiceError } from '../errors.ts';
import type { Gate } from '../gate.ts';
import { codeOf } from '../openai/errors.ts';
import type { listModels, Server } from './server.ts';
import type { Versions } from './versions.ts';

/** A server that is out is asked for its models; it has this long to answer. */
const PROBE_MS = 5_000;
/** A server that does not know a version is not asked for it for so long, where others know it. */
const LACKS_MS = 30_000;

export interface MemberOptions {
  server: Server;
  gate: Gate;
  timeoutMs: number;
  versions: Versions;
  warn(message: string): void;
  now(): number;
  list: typeof listModels;
  /** Nobody can stand in for it: its failures are the caller's. */
  isAlone(): boolean;
}

/** One server of a pool: whether it takes part, which versions it has, and its turns. */
export interface Member {
  server: Server;
  gate: Gate;
  takesPart(): boolean;
  /** Out, and due to be asked whether it is back. */
  isDue(): boolean;
  /** Asks it whether it is back, once at a time. */
  probe(): Promise<boolean>;
  /** Whether nothing speaks against asking it for a version. */
  mayKnow(version: string): boolean;
  /** For routing. */
  candidate(): Candidate;
  /** One request; a version that the server has lost is brought again, once. */
  ask<T>(version: string, task: (server: Server) => Promise<T>, signal: AbortSignal): Promise<T>;
  /** Brings a version, or finds it there. */
  confirm(version: string, signal: AbortSignal): Promise<void>;
}

export function createMember(options: MemberOptions): Member {
  const { server, gate, timeoutMs, versions, warn, now, list, isAlone } = options;
  const { name, root, of } = server;
  let health: Health = healthy;
  /** Ends the waiting of requests when the server is taken out. */
  let leave = new AbortController();
  /** Requests that were sent its way and are not at its gate yet: those that start together must see each other. */
  let coming = 0;
  let probing: Promise<boolean> | null = null;
  /** Versions found there, or brought. */
  const has = new Set<string>();
  const lacksUntil = new Map<string, number>();
  const bringing = new Map<string, Promise<void>>();

  function blame(kind: FailureKind, error: unknown): void {
    if (isAlone()) return;
    const before = health;
    health = failed(health, kind, now());
    if (!takesPart(before) || takesPart(health)) return;
    const message = `${of.name}: ${name} at ${root} is out (${(error as Error).message})`;
    warn(`${message}; it is tried again from time to time, and the other servers go on`);
    leave.abort(new ServiceError('retryable', message, { service: of.name }));
    leave = new AbortController();
  }

  async function watched<T>(task: () => Promise<T>): Promise<T> {
    try {
      const result = await task();
      // An answer of before it was taken out does not bring it back: what it has must be asked for anew.
      if (takesPart(health)) health = healthy;
      return result;
    } catch (error) {
      const kind = failureOf(error);
      if (kind !== null) blame(kind, error);
      throw error;
    }
  }

  /** That the server has a version, before it is asked for it. */
  async function ensure(version: string, signal: AbortSignal): Promise<void> {
    if (!versions.concerns(version) || has.has(version)) return;
    const bring =
      bringing.get(version) ??
      // Shared by all that wait for it: no single caller may end it.
      bringNow(version, AbortSignal.timeout(versions.timeoutMs)).finally(() => bringing.delete(version));
    bringing.set(version, bring);
    await unlessAborted(bring, signal);
  }

  async function bringNow(version: string, signal: AbortSignal): Promise<void> {
    try {
      if (!(await versions.has(version, server, signal))) await versions.bring(version, server, signal);
    } catch (error) {
      // Weights that cannot be loaded are no fault of the server's.
      if (failureOf(error) === 'unreachable') blame('unreachable', error);
      throw error;
    }
    if (versions.exclusive) has.clear();
    has.add(version);
  }

  async function requireListed(version: string, signal: AbortSignal): Promise<void> {
    // The list, not one model: not every server answers for a single name.
    if ((await list(server, timeoutMs, signal)).includes(version)) return;
    const message = `${of.name} at ${root} does not serve the model ${version}`;
    throw new ServiceError('lost', message, { service: of.name });
  }

  async function isThere(): Promise<boolean> {
    try {
      await list(server, PROBE_MS, new AbortController().signal);
      return true;
    } catch (error) {
      return error instanceof ServiceError && error.status !== undefined && error.status < 500;
    }
  }

  async function probe(): Promise<boolean> {
    const isBack = await isThere();
    probing = null;
    if (!isBack) health = failed(health, 'unreachable', now());
    else if (!takesPart(health)) {
      // It may be another process by now, which has nothing.
      has.clear();
      lacksUntil.clear();
      health = healthy;
      warn(`${of.name}: ${name} at ${root} is back`);
    }
    return isBack;
  }

  return {
    server,
    gate,
    takesPart: () => takesPart(health),
    isDue: () => isDue(health, now()),
    mayKnow: (version) => (lacksUntil.get(version) ?? 0) <= now(),

    probe() {
      probing ??= probe();
      return probing;
    },

    candidate() {
      const { limit, inFlight, waiting, paused } = gate.load();
      return { name, limit, pending: inFlight + waiting + coming, paused };
    },

    async ask(version, task, signal) {
      coming += 1;
      let isComing = true;
      const arrive = () => {
        if (isComing) coming -= 1;
        isComing = false;
      };
      const ask = () => {
        arrive();
        return gate.run(() => watched(() => task(server)), AbortSignal.any([signal, leave.signal]), timeoutMs);
      };
      try {
        await ensure(version, signal);
      } catch (error) {
        arrive();
        throw error;
      }
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof ServiceError && error.kind === 'lost')) throw error;
        has.delete(version);
        if (!versions.concerns(version)) {
          lacksUntil.set(version, now() + LACKS_MS);
          throw error;
        }
        await ensure(version, signal);
        return ask();
      }
    },

    async confirm(version, signal) {
      has.delete(version);
      if (versions.concerns(version)) await ensure(version, signal);
      else await watched(() => requireListed(version, signal));
      lacksUntil.delete(version);
    },
  };
}

/** A connection that broke, on the other hand, may only have been an idle one that the server had closed. */
const nobodyListens: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** What a request's end says about its server; null: nothing against it. */
function failureOf(error: unknown): FailureKind | null {
  if (!(error instanceof ServiceError) || error.kind !== 'retryable') return null;
  if (nobodyListens.has(codeOf(error.cause) ?? '')) return 'unreachable';
  if (error.status === undefined) return 'failing';
  // A server that says when to come back is busy, not broken; the gate waits for it.
  return error.status >= 500 && error.retryAfterMs === undefined ? 'failing' : null;
}

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
