import { type Aimd, answered, lowerCeiling, overloaded, startAimd } from '../core/aimd.ts';
import { ServiceError } from './errors.ts';
import { type Outcome, outcomeOf } from './outcome.ts';

/** How a service is being used at this moment: small, for heartbeats and people. */
export interface Load {
  /** Requests at once that it is sent at most. */
  limit: number;
  inFlight: number;
  /** Requests that wait for their turn. */
  waiting: number;
  /** The service asked for time, and nothing is sent until it is over. */
  paused: boolean;
}

/** A request that was let through. */
export interface Place {
  /** The service had too much, and the request goes on waiting for it by itself. */
  overloaded(retryAfterMs?: number): void;
}

/** All requests of this process to one service pass here, whoever makes them. */
export interface Gate {
  /**
   * Runs one request when its turn comes, in the order of arrival.
   * @throws ServiceError (retryable) when its turn has not come after `patienceMs`; the signal's reason; the task's error
   */
  run<T>(task: (place: Place) => Promise<T>, signal: AbortSignal, patienceMs: number): Promise<T>;
  load(): Load;
}

/** The gate of an address. Of several ceilings the smallest counts. */
export type Gates = (address: string, ceiling?: number) => Gate;

/** Told how services are used, by address; for metrics. */
export interface GateWatch {
  /** After every change. */
  used(address: string, load: Load): void;
  waited(address: string, ms: number): void;
  ended(address: string, outcome: Outcome, ms: number): void;
}

/** Calls back after so many milliseconds, unless it was cancelled before. Injectable for tests. */
export type Later = (ms: number, callback: () => void) => { cancel(): void; unref(): void };

const realLater: Later = (ms, callback) => {
  const timer = setTimeout(callback, ms);
  return { cancel: () => clearTimeout(timer), unref: () => void timer.unref() };
};

/** A service may ask for any time; longer than this, one request is worth the try. */
const MAX_PAUSE_MS = 60_000;

export function createGates(
  warn: (message: string) => void = () => {},
  later: Later = realLater,
  watch?: GateWatch,
): Gates {
  const gates = new Map<string, ReturnType<typeof createGate>>();
  return (address, ceiling) => {
    const gate = gates.get(address) ?? createGate(address, ceiling, { warn, later, watch });
    gates.set(address, gate);
    if (ceiling !== undefined) gate.lower(ceiling);
    return gate;
  };
}

interface Waiting {
  /** Handed the epoch in which the request is sent. */
  enter(epoch: number): void;
}

interface GateOptions {
  warn(message: string): void;
  later: Later;
  watch: GateWatch | undefined;
}

function createGate(address: string, ceiling: number | undefined, { warn, later, watch }: GateOptions) {
  let aimd: Aimd = startAimd(ceiling);
  let inFlight = 0;
  /** Pauses that are not over; the longest decides. */
  let pauses = 0;
  const queue: Waiting[] = [];

  const load = (): Load => ({ limit: aimd.limit, inFlight, waiting: queue.length, paused: pauses > 0 });

  function admit(): void {
    while (queue.length > 0 && pauses === 0 && inFlight < aimd.limit) {
      inFlight += 1;
      queue.shift()?.enter(aimd.epoch);
    }
    watch?.used(address, load());
  }

  /** The epoch in which the request may be sent. */
  function turn(signal: AbortSignal, patienceMs: number): Promise<number> {
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const leave = () => {
        const place = queue.indexOf(waiting);
        if (place !== -1) queue.splice(place, 1);
        signal.removeEventListener('abort', abort);
        patience.cancel();
      };
      const giveUp = (reason: unknown) => {
        leave();
        watch?.used(address, load());
        reject(reason);
      };
      const abort = () => giveUp(signal.reason);
      const waiting: Waiting = {
        enter(epoch) {
          leave();
          resolve(epoch);
        },
      };
      const patience = later(patienceMs, () => {
        const message =
          `${address} is sent at most ${aimd.limit} requests at once, and ${queue.length} wait; this one gave up after ` +
          `${patienceMs} ms (timeoutMs): lower the concurrency, or raise timeoutMs if that is normal`;
        giveUp(new ServiceError('retryable', message, { service: address }));
      });
      signal.addEventListener('abort', abort);
      queue.push(waiting);
      admit();
    });
  }

  function pause(ms: number): void {
    pauses += 1;
    const end = later(Math.min(ms, MAX_PAUSE_MS), () => {
      pauses -= 1;
      admit();
    });
    // Whoever waits keeps the process alive; a pause alone does not.
    end.unref();
  }

  function decrease(epoch: number, retryAfterMs: number | undefined): void {
    const before = aimd;
    aimd = overloaded(aimd, epoch, inFlight);
    if (retryAfterMs !== undefined && retryAfterMs > 0) pause(retryAfterMs);
    if (aimd.limit === before.limit) return;
    warn(`${address} is overloaded: requests at once reduced from ${before.limit} to ${aimd.limit}`);
  }

  function increase(epoch: number): void {
    const before = aimd;
    aimd = answered(aimd, epoch);
    if (aimd.limit > before.limit && aimd.limit === aimd.ceiling) {
      warn(`${address} is well again: up to ${aimd.limit} requests at once`);
    }
  }

  return {
    async run<T>(task: (place: Place) => Promise<T>, signal: AbortSignal, patienceMs: number): Promise<T> {
      const cameAt = performance.now();
      const epoch = await turn(signal, patienceMs);
      const sentAt = performance.now();
      watch?.waited(address, sentAt - cameAt);
      const ended = (outcome: Outcome) => watch?.ended(address, outcome, performance.now() - sentAt);
      let isOverloaded = false;
      const tell = (retryAfterMs?: number) => {
        isOverloaded = true;
        decrease(epoch, retryAfterMs);
      };
      try {
        const result = await task({ overloaded: tell });
        if (!isOverloaded) increase(epoch);
        ended('answered');
        return result;
      } catch (error) {
        ended(outcomeOf(error, signal));
        if (saysOverloaded(error)) tell(error.retryAfterMs);
        throw error;
      } finally {
        inFlight -= 1;
        admit();
      }
    },
    load,
    lower(other: number): void {
      aimd = lowerCeiling(aimd, other);
    },
  };
}

/** A service that is down is not overloaded: fewer requests would not bring it back. */
function saysOverloaded(error: unknown): error is ServiceError {
  return error instanceof ServiceError && (error.status === 429 || error.status === 503 || error.timedOut);
}
