import { fixed, integer } from '../../src/report/format.ts';
import type { Table } from '../../src/report/tables.ts';
import type { Machine } from '../report.ts';
import type { MemoryFigures, ScaleResult } from './measure.ts';

/** What `npm run bench:scale` measures. */
export interface ScaleReport {
  schema: 'astroflow.bench-scale/1';
  startedAt: string;
  /** Tiny sizes: the figures say that it works, not how it scales. */
  quick: boolean;
  machine: Machine;
  versions: Record<string, string>;
  results: ScaleResult[];
}

const mib = (bytes: number | null) => (bytes === null ? 'n/a' : fixed(bytes / 2 ** 20, 0));
const perProblem = (value: number | null, { problems }: ScaleResult) => (value === null ? null : value / problems);

/** One column for each result. */
export function scaleTable(results: readonly ScaleResult[]): Table {
  const row = (name: string, cell: (result: ScaleResult) => string, unit: string) => [name, ...results.map(cell), unit];
  const memory = (name: string, pick: (result: ScaleResult) => MemoryFigures | undefined) => [
    row(
      `${name}, at 10 / 50 / 100 %`,
      (r) => [pick(r)?.at10, pick(r)?.at50, pick(r)?.at100].map((bytes) => mib(bytes ?? null)).join(' / '),
      'MiB',
    ),
    row(`${name}, growth`, (r) => fixed(scaled(pick(r)?.slope ?? null, 2 ** 10), 0), 'KiB per 1,000 problems'),
  ];
  const types = [...new Set(results.flatMap((result) => Object.keys(result.histories)))].sort();
  return [
    row('problems', (r) => integer(r.problems), ''),
    row('worker processes', (r) => `${r.workers}`, ''),
    row('shards', (r) => `${r.shards}`, ''),
    row('search', (r) => fixed(r.seconds.search), 's'),
    row('problems per hour', (r) => integer((r.problems / r.seconds.search) * 3600), ''),
    row('activities', (r) => fixed(r.activities / r.seconds.search), '/s'),
    row('activities by process', shares, '%'),
    row('workflow tasks', (r) => fixed(r.workflowTasks / r.seconds.search), '/s'),
    row('server per problem', (r) => fixed(perProblem(r.cpuMs.server, r)), 'CPU ms'),
    row('workers per problem', (r) => fixed(perProblem(r.cpuMs.workers, r)), 'CPU ms'),
    ...memory('server memory', (r) => r.memory.server),
    ...memory('first worker memory', (r) => r.memory.workers[0]),
    ...memory('first worker heap', (r) => r.memory.heaps[0]),
    ...types.map((type) =>
      row(
        `${type}: runs, most events, most KiB`,
        (r) => {
          const sizes = r.histories[type];
          return sizes === undefined
            ? 'n/a'
            : `${integer(sizes.runs)}, ${integer(sizes.events.max)}, ${fixed(sizes.bytes.max / 1024, 0)}`;
        },
        '',
      ),
    ),
    row('largest payload', (r) => integer(largestPayload(r)), 'bytes'),
    row('database per problem', (r) => fixed(r.bytes.database / r.problems / 1024), 'KiB'),
    row('artifacts per problem', (r) => fixed(r.bytes.artifacts / r.problems / 1024), 'KiB'),
    row('files per problem', (r) => fixed(r.bytes.files / r.problems, 2), ''),
    ...(['put', 'get', 'find', 'list'] as const).map((name) =>
      row(`store: ${name} per searched problem`, (r) => fixed(r.store.search[name] / r.problems, 2), ''),
    ),
    row('linearisation', (r) => fixed(r.seconds.linearize), 's'),
    row('linearisation, per tree', (r) => fixed((r.seconds.linearize / r.problems) * 1000, 2), 'ms'),
    ...(['put', 'get', 'find'] as const).map((name) =>
      row(`store: ${name} per linearised tree`, (r) => fixed(r.store.linearize[name] / r.problems, 2), ''),
    ),
  ];
}

/** How the largest run compares with the smallest, per problem: 1 is linear. */
export function growth(small: ScaleResult, large: ScaleResult): Table {
  const ratio = (name: string, value: (result: ScaleResult) => number | null) => {
    const [a, b] = [value(small), value(large)];
    const found = a === null || b === null || a === 0 ? null : b / a;
    return [name, fixed(found, 2), verdict(found)];
  };
  return [
    [`${integer(large.problems)} ÷ ${integer(small.problems)} problems, per problem`, 'ratio', ''],
    ratio('search time', (r) => r.seconds.search / r.problems),
    ratio('server CPU', (r) => perProblem(r.cpuMs.server, r)),
    ratio('worker CPU', (r) => perProblem(r.cpuMs.workers, r)),
    ratio('workflow tasks', (r) => r.workflowTasks / r.problems),
    ratio('store operations', (r) => storeOperations(r) / r.problems),
    ratio('database bytes', (r) => r.bytes.database / r.problems),
    ratio('artifact bytes', (r) => r.bytes.artifacts / r.problems),
    ratio('linearisation time', (r) => r.seconds.linearize / r.problems),
  ];
}

/** How the processes shared the problems' activities, of the histories that were read. */
function shares({ histories }: ScaleResult): string {
  const counts = Object.values(histories.searchProblem?.activitiesBy ?? {});
  const total = counts.reduce((sum, count) => sum + count, 0);
  return counts.map((count) => fixed((count / total) * 100, 0)).join(' / ');
}

/** Above it something grows faster than the problems do; figures of a shared machine move by a tenth or two. */
const linearUpTo = 1.25;

function verdict(ratio: number | null): string {
  if (ratio === null) return 'not known';
  return ratio <= linearUpTo ? 'linear' : 'grows faster than the problems';
}

export function storeOperations({ store }: ScaleResult): number {
  const { put, get, find, list } = store.search;
  return put + get + find + list;
}

export function largestPayload({ histories }: ScaleResult): number {
  return Math.max(...Object.values(histories).map((sizes) => sizes.largestPayload));
}

const scaled = (value: number | null, by: number) => (value === null ? null : value / by);
