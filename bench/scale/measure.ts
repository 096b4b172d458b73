import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunConfigInput } from '../../src/config/schema.ts';
import type { linearizeCorpus, searchCorpus } from '../../src/workflows/index.ts';
import { type BedSample, openScaleBed, type ScaleBed } from './bed.ts';
import type { StoreCounts } from './counted-store.ts';
import { type HistorySizes, measureHistories } from './histories.ts';
import { type MemoryPoint, memoryAt, memorySlope } from './memory.ts';

export interface ScaleOptions {
  folder: string;
  problems: number;
  workers: number;
  shards: number;
  rounds: number;
  roundsPerActivity: number;
}

export interface MemoryFigures {
  /** At 10 %, 50 % and the end of the search; null where the system does not tell. */
  at10: number | null;
  at50: number | null;
  at100: number | null;
  /** Bytes per 1,000 problems, behind the first tenth. */
  slope: number | null;
}

export interface ScaleResult extends Omit<ScaleOptions, 'folder'> {
  /** Of the search and of the linearisation behind it. */
  seconds: { search: number; linearize: number };
  cpuMs: { server: number | null; workers: number };
  linearizeCpuMs: { server: number | null; workers: number };
  activities: number;
  workflowTasks: number;
  memory: { server: MemoryFigures; workers: MemoryFigures[]; heaps: MemoryFigures[] };
  histories: Record<string, HistorySizes>;
  store: { search: StoreCounts; linearize: StoreCounts };
  bytes: { database: number; artifacts: number; files: number };
}

const inFlight = 64;
const sampleEveryMs = 500;

/** One search of so many problems on a server and worker processes of its own, and the linearisation of its trees. */
export async function measureScale(options: ScaleOptions): Promise<ScaleResult> {
  const { folder, workers, ...shape } = options;
  const bed = await openScaleBed({ folder, workers });
  try {
    // Workers are up and have compiled what they need: the smallest run that visits both stages.
    await visit(bed, 'warm-up', { ...shape, problems: Math.min(4 * workers, shape.problems), shards: 1 });
    const begin = await settled(bed);
    const emptyDatabase = databaseBytes(bed.database);
    const samples: BedSample[] = [begin];
    const timer = setInterval(() => samples.push(bed.sample()), sampleEveryMs);
    const { seconds, searched, linearized } = await visit(bed, 'scale', shape).finally(() => clearInterval(timer));
    const database = databaseBytes(bed.database) - emptyDatabase;
    const histories = await measureHistories(bed.client);
    await bed.stopWorkers();
    const ofSearch = samples.filter((sample) => sample.atMs <= searched.atMs);
    const steps = Object.entries(histories).filter(([type]) => type.startsWith('search'));
    return {
      ...shape,
      workers,
      seconds,
      cpuMs: cpuOf(begin, searched),
      linearizeCpuMs: cpuOf(searched, linearized),
      activities: steps.reduce((sum, [, sizes]) => sum + sizes.activities, 0),
      workflowTasks: steps.reduce((sum, [, sizes]) => sum + sizes.workflowTasks, 0),
      memory: memoryOf(ofSearch, begin.store.trees, shape.problems),
      histories,
      store: {
        search: difference(begin.store, searched.store),
        linearize: difference(searched.store, linearized.store),
      },
      bytes: { database, ...folderSize(bed.artifacts) },
    };
  } finally {
    await bed.close();
  }
}

/** Search and linearisation, each started as a person would start it alone. */
async function visit(
  bed: ScaleBed,
  run: string,
  shape: Omit<ScaleOptions, 'folder' | 'workers'>,
): Promise<{ seconds: ScaleResult['seconds']; searched: BedSample; linearized: BedSample }> {
  const config = scriptedSearch(run, shape);
  const execute = async (type: 'searchCorpus' | 'linearizeCorpus') => {
    const startedAt = performance.now();
    const options = { workflowId: `astro/${run}/${type}`, taskQueue: 'astro', args: [config] as [RunConfigInput] };
    const ended =
      type === 'searchCorpus'
        ? bed.client.workflow.execute<typeof searchCorpus>(type, options)
        : bed.client.workflow.execute<typeof linearizeCorpus>(type, options);
    await Promise.race([ended, bed.broken]);
    return (performance.now() - startedAt) / 1000;
  };
  const search = await execute('searchCorpus');
  const searched = await settled(bed);
  const linearize = await execute('linearizeCorpus');
  return { seconds: { search, linearize }, searched, linearized: await settled(bed) };
}

/** Workers say what they have used twice a second: once more after what has just ended. */
async function settled(bed: ScaleBed): Promise<BedSample> {
  await sleep(2 * sampleEveryMs);
  return bed.sample();
}

/** Next to no search in it: what is left is the price of durable steps and of what is stored. */
export function scriptedSearch(
  run: string,
  shape: { problems: number; shards: number; rounds: number; roundsPerActivity: number; concurrency?: number },
): RunConfigInput {
  const { problems, shards, rounds, roundsPerActivity } = shape;
  return {
    run,
    salt: run,
    onFailure: 'fail',
    // Ranges in which there are a million different problems, all of the bundled vocabulary.
    task: { name: 'countdown', numbers: 4, max: 30, operators: '+-' },
    policy: {
      base: 'scripted-base',
      tokenizer: 'engine/base/model',
      sampler: { kind: 'scripted' },
      trainer: { kind: 'scripted' },
    },
    search: {
      problems: { split: 'train', count: problems },
      rounds,
      roundsPerActivity,
      leavesPerRound: 1,
      childrenPerLeaf: 3,
      rolloutsPerChild: 1,
      shards,
      concurrency: shape.concurrency ?? Math.ceil(inFlight / shards),
    },
    evaluate: { benchmarks: { few: { split: 'test-numbers', count: 1 } } },
  };
}

function cpuOf(before: BedSample, after: BedSample): ScaleResult['cpuMs'] {
  const workers = (sample: BedSample) => sample.workers.reduce((sum, worker) => sum + worker.cpuMs, 0);
  const server =
    before.server.cpuMs === null || after.server.cpuMs === null ? null : after.server.cpuMs - before.server.cpuMs;
  return { server, workers: workers(after) - workers(before) };
}

function memoryOf(samples: readonly BedSample[], before: number, problems: number): ScaleResult['memory'] {
  const figures = (pick: (sample: BedSample) => number | null | undefined): MemoryFigures => {
    const points = samples.flatMap((sample): MemoryPoint[] => {
      const bytes = pick(sample) ?? null;
      return bytes === null ? [] : [{ problems: sample.store.trees - before, bytes }];
    });
    return {
      at10: memoryAt(points, problems * 0.1),
      at50: memoryAt(points, problems * 0.5),
      at100: memoryAt(points, problems),
      slope: memorySlope(points, problems * 0.1),
    };
  };
  const workers = [...(samples[0]?.workers.keys() ?? [])];
  return {
    server: figures((sample) => sample.server.rssBytes),
    workers: workers.map((number) => figures((sample) => sample.workers[number]?.rssBytes)),
    heaps: workers.map((number) => figures((sample) => sample.workers[number]?.heapBytes)),
  };
}

function difference(before: StoreCounts, after: StoreCounts): StoreCounts {
  const entries = Object.entries(after).map(([name, count]) => [name, count - before[name as keyof StoreCounts]]);
  return Object.fromEntries(entries) as StoreCounts;
}

/** The database and its write-ahead log. */
function databaseBytes(file: string): number {
  return [file, `${file}-wal`].reduce((sum, path) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0), 0);
}

function folderSize(folder: string): { artifacts: number; files: number } {
  let [artifacts, files] = [0, 0];
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    files += 1;
    artifacts += statSync(join(entry.parentPath, entry.name)).size;
  }
  return { artifacts, files };
}
