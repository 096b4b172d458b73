import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fixed, integer } from '../../src/report/format.ts';
import type { Table } from '../../src/report/tables.ts';
import type { searchCorpus } from '../../src/workflows/index.ts';
import { openScaleBed, type ScaleBed } from './bed.ts';
import { scriptedSearch } from './measure.ts';

export interface FairnessResult {
  name: string;
  /** Problems of the large run, in flight all the time; 0: the small run is alone. */
  backlog: number;
  fairness: boolean;
  /** From the small run's start to its end. */
  seconds: number;
  /** Calls that were answered meanwhile. */
  calls: { small: number; large: number };
  /** How long the small run's first call took to be answered. */
  firstCallSeconds: number;
}

interface Shape {
  small: number;
  /** Shards of the large run, with so many problems in flight each. */
  shards: number;
  concurrency: number;
  latencyMs: number;
}

/** Activities of two calls each. They are so long that slots are what is scarce, and not the CPU. */
const shape: Shape = { small: 32, shards: 5, concurrency: 64, latencyMs: 4000 };

/** What a worker process samples at once. */
const slots = 64;

/** How long a small run takes alone, and beside one that has four times the slots' work waiting. */
export async function measureFairness(
  folder: string,
  { say }: { say: (text: string) => void },
): Promise<FairnessResult[]> {
  const cases = [
    { name: 'alone', backlog: 0, fairness: true },
    { name: 'beside a large run, fairness off', backlog: shape.shards * shape.concurrency, fairness: false },
    { name: 'beside a large run, fairness on', backlog: shape.shards * shape.concurrency, fairness: true },
  ];
  const results: FairnessResult[] = [];
  for (const [number, one] of cases.entries()) {
    say(`fairness: the small run ${one.name}`);
    const { latencyMs } = shape;
    const bed = await openScaleBed({
      folder: join(folder, `${number}`),
      workers: 1,
      latencyMs,
      fairness: one.fairness,
    });
    try {
      results.push({ ...one, ...(await measureCase(bed, one.backlog)) });
    } finally {
      await bed.close();
    }
  }
  return results;
}

async function measureCase(bed: ScaleBed, backlog: number) {
  const start = (run: string, search: Parameters<typeof scriptedSearch>[1]) =>
    bed.client.workflow.start<typeof searchCorpus>('searchCorpus', {
      workflowId: `astro/${run}/search`,
      taskQueue: 'astro',
      args: [scriptedSearch(run, search)],
    });
  const once = { rounds: 1, roundsPerActivity: 1 };
  // The worker has compiled what it needs.
  const warmUp = await start('warm-up', { ...once, problems: 1, shards: 1, concurrency: 1 });
  await Promise.race([warmUp.result(), bed.broken]);
  const large =
    backlog === 0
      ? null
      : await start('large', {
          ...once,
          problems: shape.shards * 200,
          shards: shape.shards,
          concurrency: shape.concurrency,
        });
  // Until all that may be in flight is waiting in the queue.
  if (large !== null) await waitFor(bed, async () => (await waiting(bed)) >= (backlog - slots) * 0.9);
  const before = callsIn(bed);
  const startedAt = performance.now();
  const small = await start('small', { ...once, problems: shape.small, shards: 1, concurrency: shape.small });
  let firstAt: number | null = null;
  const keys = new Set(Object.keys(before));
  const timer = setInterval(() => {
    if (Object.keys(callsIn(bed)).some((key) => !keys.has(key))) firstAt ??= performance.now();
  }, 100);
  await Promise.race([small.result(), bed.broken]);
  const endedAt = performance.now();
  clearInterval(timer);
  await sleep(1000);
  const after = callsIn(bed);
  const sum = (isSmall: boolean) =>
    Object.entries(after)
      .filter(([key]) => keys.has(key) !== isSmall)
      .reduce((total, [key, calls]) => total + calls - (before[key] ?? 0), 0);
  await large?.terminate();
  return {
    seconds: (endedAt - startedAt) / 1000,
    firstCallSeconds: ((firstAt ?? endedAt) - startedAt) / 1000,
    calls: { small: sum(true), large: large === null ? 0 : sum(false) },
  };
}

function callsIn(bed: ScaleBed): Record<string, number> {
  return { ...bed.sample().workers[0]?.calls };
}

/** Activities that wait in the sampling queue. */
async function waiting(bed: ScaleBed): Promise<number> {
  const answer = await bed.client.workflowService.describeTaskQueue({
    namespace: 'default',
    taskQueue: { name: 'astro-sample' },
    taskQueueType: 2,
    reportStats: true,
  });
  return Number(answer.stats?.approximateBacklogCount ?? 0);
}

async function waitFor(bed: ScaleBed, holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await Promise.race([sleep(500), bed.broken]);
}

export function fairnessTable(results: readonly FairnessResult[]): Table {
  return [
    ['the small run', 'waiting before it', 'first call after', 'finished after', 'its calls', "the large run's", ''],
    ...results.map(({ name, backlog, seconds, firstCallSeconds, calls }) => [
      name,
      integer(Math.max(0, backlog - slots)),
      `${fixed(firstCallSeconds)} s`,
      `${fixed(seconds)} s`,
      integer(calls.small),
      integer(calls.large),
      '',
    ]),
  ];
}
