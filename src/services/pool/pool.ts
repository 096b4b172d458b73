import { leastLoaded } from '../../core/routing.ts';
import { resolveConnection } from '../address.ts';
import { ServiceError } from '../errors.ts';
import type { Gates, Load } from '../gate.ts';
import { connectOpenAi, type OpenAiService } from '../openai/client.ts';
import { endpointsOf, type PoolConfig, rootOf } from './endpoints.ts';
import { createMember, type Member } from './member.ts';
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
  run<T>(asked: Asked, task: (server: Server, tries: number) => Promise<T>, signal: AbortSignal): Promise<T>;
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
  /** Injectable for tests. */
  now?: () => number;
  list?: typeof listModels;
}

export function createPool(
  config: PoolConfig,
  env: NodeJS.ProcessEnv,
  { of, gates, versions, warn, now = Date.now, list = listModels }: PoolOptions,
): Pool {
  const known = new Map<string, { member: Member; apiKey: string | undefined }>();
  let current: Member[] = [];

  /** By address and key: what was learned of a server is kept as long as it is that one. */
  function members(): Member[] {
    current = endpointsOf(config, env, of.path).map(({ name, config: own, path }) => {
      const { baseUrl, apiKey } = resolveConnection(own, env, path);
      const before = known.get(rootOf(baseUrl));
      if (before !== undefined && before.apiKey === apiKey && before.member.server.name === name) return before.member;
      const { client, root } = connectOpenAi(own, env, { ...of, path });
      const member = createMember({
        server: { name, root, client, of },
        gate: gates(root, own.maxConcurrency),
        timeoutMs: config.timeoutMs,
        versions,
        warn,
        now,
        list,
        isAlone: () => current.length < 2,
      });
      known.set(root, { member, apiKey });
      return member;
    });
    return current;
  }

  /** Where a request goes next, at once where somebody takes part; null when there is no server left to try. */
  function choose(all: Member[], tried: ReadonlySet<Member>, asked: Asked): Member | null | Promise<Member | null> {
    const left = all.filter((member) => !tried.has(member));
    if (all.length === 1 || left.length === 0) return left[0] ?? null;
    const out = left.filter((member) => !member.takesPart());
    for (const member of out) if (member.isDue()) void member.probe();
    const alive = left.filter((member) => member.takesPart());
    // Nobody is left: those that are out are asked now, due or not.
    if (alive.length === 0) return firstBack(out);
    const knowing = alive.filter((member) => member.mayKnow(asked.version));
    const candidates = knowing.length > 0 ? knowing : alive;
    const loads = candidates.map((member) => member.candidate());
    return candidates[leastLoaded(loads, asked.affinity()) ?? 0] ?? null;
  }

  return {
    servers: () => members().map(({ server }) => server),

    async run(asked, task, signal) {
      const all = members();
      const tried = new Set<Member>();
      let [tries, last]: [number, unknown] = [0, undefined];
      for (;;) {
        const chosen = choose(all, tried, asked);
        const member = chosen instanceof Promise ? await chosen : chosen;
        signal.throwIfAborted();
        if (member === null) throw last ?? noneAnswers(of, all.length);
        tried.add(member);
        try {
          return await member.ask(asked.version, (server) => task(server, tries++), signal);
        } catch (error) {
          signal.throwIfAborted();
          if (!mayGoElsewhere(error)) throw error;
          last = error;
        }
      }
    },

    async confirm(version, signal) {
      const all = members();
      await Promise.all(all.filter((member) => !member.takesPart()).map((member) => member.probe()));
      const asked = all.filter((member) => member.takesPart());
      if (asked.length === 0) throw noneAnswers(of, all.length);
      const found = await Promise.all(asked.map((member) => failureOf(member, version, signal)));
      signal.throwIfAborted();
      const failures = found.filter((failure) => failure !== null);
      // A server that was taken out meanwhile is brought the version when it comes back.
      const present = failures.filter(({ member }) => member.takesPart());
      const counted = failures.length < asked.length ? present : failures;
      const first = counted.find(({ error }) => isLost(error)) ?? counted[0];
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

async function firstBack(out: Member[]): Promise<Member | null> {
  const back = out.map(async (member) => ((await member.probe()) ? member : Promise.reject()));
  return Promise.any(back).catch(() => null);
}

async function failureOf(member: Member, version: string, signal: AbortSignal) {
  try {
    await member.confirm(version, signal);
    return null;
  } catch (error) {
    return { member, error };
  }
}

function noneAnswers(of: OpenAiService, count: number): ServiceError {
  const message = `${of.name}: none of ${count} servers answers; start one, or correct their addresses`;
  return new ServiceError('retryable', message, { service: of.name });
}

const isLost = (error: unknown): boolean => error instanceof ServiceError && error.kind === 'lost';

const mayGoElsewhere = (error: unknown): boolean =>
  isLost(error) || (error instanceof ServiceError && error.kind === 'retryable');
