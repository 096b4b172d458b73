import { setTimeout as delay } from 'node:timers/promises';
import { ServiceError } from '../errors.ts';

export type Sleep = (ms: number, signal: AbortSignal) => Promise<unknown>;

export const realSleep: Sleep = (ms, signal) => delay(ms, undefined, { signal });

/** Requests of one call at a time, where a server needs several. */
export const PARALLEL = 16;
const RETRIES = 3;
const MAX_WAIT_MS = 30_000;

/**
 * One of the many requests of a call: it is asked again where the server is busy, so that the call does not start over.
 * Calls of a single request are left to who makes them.
 */
export async function patiently<T>(task: () => Promise<T>, sleep: Sleep, signal: AbortSignal): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await task();
    } catch (error) {
      if (!(error instanceof ServiceError) || error.kind !== 'retryable' || tries === RETRIES) throw error;
      await sleep(Math.min(error.retryAfterMs ?? 500 * 2 ** tries, MAX_WAIT_MS), signal);
    }
  }
}
