import { performance } from 'node:perf_hooks';
import type { Rate } from './report.ts';

/** Runs `body` and times it; its result says how many things it did. */
export async function timed(body: () => Promise<number>): Promise<Rate> {
  const startedAt = performance.now();
  const count = await body();
  return { count, seconds: (performance.now() - startedAt) / 1000 };
}

/** Works off the items in order, at most `limit` at a time. */
export async function inFlight<T>(items: readonly T[], limit: number, work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  const lane = async () => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane));
}
