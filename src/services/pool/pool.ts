import { APIConnectionError, APIConnectionTimeoutError } from 'openai';
import { type FailureKind, failed, type Health, healthy, isDue, takesPart } from '../../core/health.ts';
import { leastLoaded } from '../../core/routing.ts';
import { ServiceError } from '../errors.ts';
import type { Gate, Gates, Load } from '../gate.ts';
import { connectOpenAi, type OpenAiService } from '../openai/client.ts';
import { endpointsOf, type PoolConfig } from './endpoints.ts';
import { listModels, type Server } from './server.ts';
import type { Versions } from './versions.ts';

/** Several servers with the same models as one, or a single one as it is. */
export interface Pool {
  /** As they are configured now. @throws ServiceError (fatal) */
  servers(): Server[];
  /**
   * Makes a request at the server that is used least. What fails there in a way that may be repeated is tried at every
   * other one once; sampling may be, since it changes nothing.
   *
   * @param task `tries` counts the times that it was begun before
   */
  run<T>(of: Asked, task: (server: Server, tries: number) => Promise<T>, signal: AbortSignal): Promise<T>;
  /**
   * Brings a version to every server that takes part, or finds it there.
   * @throws ServiceError; `lost` where one of them lacks it and nobody can bring it
   */
  confirm(version: string, signal: AbortSignal): Promise<void>;
  /** All together; null before the first request. */
  load(): Load | null;
}

export interface Asked {
  version: string;
  /** Requests with one affinity go to one server where that costs no waiting. */
  affinity(): string;
}

export interface PoolOptions {
  of: OpenAiService;
  gates: Gates;
  versions: Versions;
  warn(message: string): void;
  now?: () => number;
}

/** A server that is out is asked for its models; it has this long to answer. */
const PROBE_MS = 5_000;
/** A server that does not know a version is not asked for it for so long, where others know it. */
const LACKS_MS = 30_000;

interface Member {
  server: Server;
  gate: Gate;
  apiKey: unknown;
  health: Health;
  /** Ends the waiting of requests when the server is taken out. */
  leave: AbortController;
  /** Versions found there, or brought. */
  has: Set<string>;
  lacks: Map<string, number>;
  probing: Promise<boolean> | null;
  bringing: Map<string, Promise<void>>;
}

export function createPool(
  config: PoolConfig,
  env: NodeJS.ProcessEnv,
  { of, gates, versions, warn, now = Date.now }: PoolOptions,
): Pool {
  const known = new Map<string, Member>();
  let current: Member[] = [];

  function members(): Member[] {
    current = endpointsOf(config, env, of.path).map(({ name, config: own, path }) => {
      const { client, root } = connectOpenAi(own, env, { ...of, path });
      const before = known.get(root);
      if (before !== undefined && before.apiKey === client.apiKey && before.server.name === name) return before;
      const member: Member = {
        server: { name, root, client, of },
        gate: gates(root, own.maxConcurrency),
        apiKey: client.apiKey,
        health: healthy,
        leave: new AbortController(),
        has: new Set(),
        lacks: new Map(),
        probing: null,
        bringing: new Map(),
      };
      known.set(root, member);
      return member;
    });
    return current;
  }

  /** What an answer or a failure says of its server. One that is alone has nobody to stand in for it. */
  function note(member: Member, kind: FailureKind | 'well', why = ''): void {
    if (current.length < 2) return;
    const before = member.health;
    // An answer to a request of before it was taken out does not bring it back: what it has must be asked for anew.
    if (kind === 'well') member.health = takesPart(before) ? healthy : before;
    else member.health = failed(before, kind, now());
    if (!takesPart(before) || takesPart(member.health)) return;
    const { name, root } = member.server;
    const message = `${of.name}: ${name} at ${root} is out (${why})`;
    warn(`${message}; it is tried again from time to time, and the other servers go on`);
    member.leave.abort(new ServiceError('retryable', message, { service: of.name }));
    member.leave = new AbortController();
  }

  /** Asks a server that is out whether it is back, once at a time. */
  function probe(member: Member): Promise<boolean> {
    member.probing ??= listModels(member.server, PROBE_MS, new AbortController().signal)
      .then(
        () => true,
        (error) => error instanceof ServiceError && error.status !== undefined && error.status < 500,
      )
      .then((isBack) => {
        member.probing = null;
        if (!isBack) member.health = failed(member.health, 'unreachable', now());
        else if (!takesPart(member.health)) {
          // It may be another process by now, which has nothing.
          member.has.clear();
          member.lacks.clear();
          member.health = healthy;
          warn(`${of.name}: ${member.server.name} at ${member.server.root} is back`);
        }
        return isBack;
      });
    return member.probing;
  }

  /** Where a request goes next; null when there is no server left to try. */
  async function choose(all: Member[], tried: ReadonlySet<Member>, asked: Asked): Promise<Member | null> {
    const left = all.filter((member) => !tried.has(member));
    if (all.length === 1 || left.length === 0) return left[0] ?? null;
    const out = left.filter(({ health }) => !takesPart(health));
    for (const member of out) if (isDue(member.health, now())) void probe(member);
    const alive = left.filter(({ health }) => takesPart(health));
    const knowing = alive.filter(({ lacks }) => (lacks.get(asked.version) ?? 0) <= now());
    const candidates = knowing.length > 0 ? knowing : alive;
    if (candidates.length === 0) {
      if (out.length === 0) return null;
      // Nobody is left: those that are out are asked now, due or not.
      const back = Promise.any(out.map(async (member) => ((await probe(member)) ? member : Promise.reject())));
      return back.catch(() => null);
    }
    const loads = candidates.map(({ server, gate }) => {
      const { limit, inFlight, waiting, paused } = gate.load();
      return { name: server.name, limit, pending: inFlight + waiting, paused };
    });
    return candidates[leastLoaded(loads, asked.affinity()) ?? 0] ?? null;
  }

  /** One request at one server; a version that it lost is brought again, once. */
  async function at<T>(
    member: Member,
    version: string,
    task: (server: Server) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    await ensure(member, version, signal);
    const ask = () =>
      member.gate.run(
        () => watched(member, () => task(member.server)),
        AbortSignal.any([signal, member.leave.signal]),
        config.timeoutMs,
      );
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof ServiceError && error.kind === 'lost')) throw error;
      member.has.delete(version);
      if (!versions.concerns(version)) {
        member.lacks.set(version, now() + LACKS_MS);
        throw error;
      }
      await ensure(member, version, signal);
      return ask();
    }
  }

  async function watched<T>(member: Member, task: () => Promise<T>): Promise<T> {
    try {
      const result = await task();
      note(member, 'well');
      return result;
    } catch (error) {
      blame(member, failureOf(error), error);
      throw error;
    }
  }

  function blame(member: Member, kind: FailureKind | null, error: unknown): void {
    if (kind !== null) note(member, kind, (error as Error).message);
  }

  /** That a server has a version, before it is asked for it. */
  async function ensure(member: Member, version: string, signal: AbortSignal): Promise<void> {
    if (!versions.concerns(version) || member.has.has(version)) return;
    let bringing = member.bringing.get(version);
    if (bringing === undefined) {
      // Shared by all that wait for it: no single caller may end it.
      const own = AbortSignal.timeout(versions.timeoutMs);
      bringing = bring(member, version, own).finally(() => member.bringing.delete(version));
      member.bringing.set(version, bringing);
    }
    await unlessAborted(bringing, signal);
  }

  async function bring(member: Member, version: string, signal: AbortSignal): Promise<void> {
    try {
      if (!(await versions.has(version, member.server, signal))) await versions.bring(version, member.server, signal);
    } catch (error) {
      // Weights that cannot be loaded are no fault of the server's.
      if (failureOf(error) === 'unreachable') blame(member, 'unreachable', error);
      throw error;
    }
    if (versions.exclusive) member.has.clear();
    member.has.add(version);
  }

  return {
    servers: () => members().map(({ server }) => server),

    async run(asked, task, signal) {
      const all = members();
      const tried = new Set<Member>();
      let [tries, last]: [number, unknown] = [0, undefined];
      for (;;) {
        const member = await choose(all, tried, asked);
        signal.throwIfAborted();
        if (member === null) throw last ?? allOut(of, all.length);
        tried.add(member);
        try {
          return await at(member, asked.version, (server) => task(server, tries++), signal);
        } catch (error) {
          signal.throwIfAborted();
          if (!mayGoElsewhere(error)) throw error;
          // That a version is lost is worth knowing only where no other server has it.
          last = error;
        }
      }
    },

    async confirm(version, signal) {
      const all = members();
      await Promise.all(all.filter(({ health }) => all.length > 1 && !takesPart(health)).map(probe));
      const asked = all.filter(({ health }) => takesPart(health));
      if (asked.length === 0) throw allOut(of, all.length);
      const failures = await Promise.all(
        asked.map(async (member): Promise<{ member: Member; error: unknown } | null> => {
          try {
            member.has.delete(version);
            if (versions.concerns(version)) await ensure(member, version, signal);
            else await watched(member, () => requireListed(member.server, version, config.timeoutMs, signal));
            member.lacks.delete(version);
            return null;
          } catch (error) {
            return { member, error };
          }
        }),
      );
      signal.throwIfAborted();
      const found = failures.filter((failure) => failure !== null);
      // A server that was taken out meanwhile is brought the version when it comes back.
      const counted = found.length < asked.length ? found.filter(({ member }) => takesPart(member.health)) : found;
      const lost = counted.find(({ error }) => error instanceof ServiceError && error.kind === 'lost');
      const first = lost ?? counted[0];
      if (first !== undefined) throw first.error;
    },

    load() {
      if (current.length === 0) return null;
      const loads = current.map(({ gate }) => gate.load());
      const sum = (of: (load: Load) => number) => loads.reduce((total, load) => total + of(load), 0);
      return {
        limit: sum(({ limit }) => limit),
        inFlight: sum(({ inFlight }) => inFlight),
        waiting: sum(({ waiting }) => waiting),
        paused: loads.every(({ paused }) => paused),
      };
    },
  };
}

async function requireListed(server: Server, version: string, timeoutMs: number, signal: AbortSignal): Promise<void> {
  // The list, not one model: not every server answers for a single name.
  if ((await listModels(server, timeoutMs, signal)).includes(version)) return;
  const message = `${server.of.name} at ${server.root} does not serve the model ${version}`;
  throw new ServiceError('lost', message, { service: server.of.name });
}

function allOut(of: OpenAiService, count: number): ServiceError {
  const message = `${of.name}: none of ${count} servers answers; start one, or correct their addresses`;
  return new ServiceError('retryable', message, { service: of.name });
}

/** What a request's end says about its server; null: nothing against it. */
function failureOf(error: unknown): FailureKind | null {
  if (!(error instanceof ServiceError) || error.kind !== 'retryable') return null;
  if (error.cause instanceof APIConnectionError && !(error.cause instanceof APIConnectionTimeoutError))
    return 'unreachable';
  if (error.status === undefined) return 'failing';
  // A server that says when to come back is busy, not broken; the gate waits for it.
  return error.status >= 500 && error.retryAfterMs === undefined ? 'failing' : null;
}

const mayGoElsewhere = (error: unknown): boolean =>
  error instanceof ServiceError && (error.kind === 'retryable' || error.kind === 'lost');

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
