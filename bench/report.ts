import { fixed, integer } from '../src/report/format.ts';
import type { Table } from '../src/report/tables.ts';

/** What `npm run bench` measures. A part that was not asked for is absent. */
export interface BenchReport {
  schema: 'astroflow.bench/1';
  startedAt: string;
  /** Tiny sizes: the figures say that it works, not how fast it is. */
  quick: boolean;
  machine: Machine;
  versions: Record<string, string>;
  decode?: DecodeResult;
  search?: SearchResult;
  orchestration?: OrchestrationResult;
  replay?: ReplayResult;
  verify?: VerifyResult;
}

export interface Machine {
  platform: string;
  cpu: string;
  cores: number;
  memoryGiB: number;
}

/** So many things in so much time. */
export interface Rate {
  count: number;
  seconds: number;
}

/** CPU milliseconds by process; null where the system does not tell (no /proc). */
export interface Cpu {
  /** This process: workers, workflow threads, the SDK's core, and the benchmark's own client. */
  worker: number;
  server: number | null;
  engine: number | null;
}

export interface DecodeResult {
  sequences: number;
  tokensPerSequence: number;
  threads: number;
  /** Tokens, side by side in one run. */
  rounds: { engine: Rate; transformers: Rate }[];
  /** Engine over transformers: the median of the rounds' ratios. */
  ratio: number;
}

export interface SearchResult {
  problems: number;
  concurrency: number;
  /** Tokens; `raw` is the same requests again without the pipeline around them. */
  rounds: { pipeline: Rate; raw: Rate; requests: number; cpu: Cpu; rawCpu: Cpu }[];
  /** Pipeline over raw: the median of the rounds' ratios. */
  ratio: number;
}

export interface OrchestrationResult {
  problems: number;
  concurrency: number;
  activities: Rate;
  children: Rate;
  cpu: Cpu;
}

export interface ReplayResult {
  histories: number;
  /** Events, all histories together. */
  all: Rate;
  /** Events by type of workflow: one activity per task costs more than many children per task. */
  byWorkflow: Record<string, Rate>;
}

export interface VerifyResult {
  /** Answers compared, one after the other. */
  checks: Rate;
  /** Milliseconds of one comparison. */
  ms: { mean: number; p50: number; p99: number; max: number };
}

export const perSecond = ({ count, seconds }: Rate): number => count / seconds;

export const ratioOf = (a: Rate, b: Rate): number => perSecond(a) / perSecond(b);

/** Middle of the values; the mean of the two middle ones of an even number. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('nothing to take the median of');
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}

/** Rounds lie next to each other in time, so a machine that slows down takes both sides of a ratio with it. */
export const medianRatio = <R>(rounds: readonly R[], a: (round: R) => Rate, b: (round: R) => Rate): number =>
  median(rounds.map((round) => ratioOf(a(round), b(round))));

const medianRate = <R>(rounds: readonly R[], pick: (round: R) => Rate): string =>
  integer(median(rounds.map((round) => perSecond(pick(round)))));

/** The figures as a table: name, value, unit. */
export function figures(report: BenchReport): Table {
  const { decode, search, orchestration, replay, verify } = report;
  const rows: Table = [['figure', 'value', 'unit']];
  if (decode) {
    rows.push(
      ['engine decode', medianRate(decode.rounds, (r) => r.engine), 'tokens/s'],
      ['transformers.generate', medianRate(decode.rounds, (r) => r.transformers), 'tokens/s'],
      ['engine ÷ transformers', fixed(decode.ratio, 2), '×'],
    );
  }
  if (search) {
    rows.push(
      ['search through the pipeline', medianRate(search.rounds, (r) => r.pipeline), 'tokens/s'],
      ['same requests, raw engine', medianRate(search.rounds, (r) => r.raw), 'tokens/s'],
      ['pipeline ÷ raw', fixed(search.ratio, 2), '×'],
      ...cpuRows(
        'searched problem',
        search.rounds.map((r) => r.cpu),
        search.problems,
      ),
      ...cpuRows(
        'problem, raw',
        search.rounds.map((r) => ({ ...r.rawCpu, server: null })),
        search.problems,
      ),
    );
  }
  if (orchestration) {
    const { activities, children, cpu } = orchestration;
    rows.push(
      ['activities', fixed(perSecond(activities)), '/s'],
      ['child workflows', fixed(perSecond(children)), '/s'],
      ...cpuRows('activity', [cpu], activities.count),
      ...cpuRows('child', [cpu], children.count),
    );
  }
  if (replay) {
    rows.push(['replay', integer(perSecond(replay.all)), 'events/s']);
    for (const [workflow, rate] of Object.entries(replay.byWorkflow))
      rows.push([`replay of ${workflow}`, integer(perSecond(rate)), 'events/s']);
  }
  if (verify) {
    rows.push(['answers checked', integer(perSecond(verify.checks)), '/s']);
    for (const [name, value] of Object.entries(verify.ms)) rows.push([`a check, ${name}`, fixed(value, 2), 'ms']);
  }
  return rows;
}

/** CPU of each process for one thing of which a round had `count`; processes that the system hides are left out. */
function cpuRows(thing: string, rounds: readonly Cpu[], count: number): Table {
  return (['worker', 'server', 'engine'] as const).flatMap((process) => {
    const values = rounds.flatMap((cpu) => cpu[process] ?? []);
    return values.length === 0 ? [] : [[`${process} per ${thing}`, fixed(median(values) / count), 'CPU ms']];
  });
}

/** Text columns: the first and the last aligned left, the values between them right. */
export function layOut(table: Table): string {
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  return table
    .map((row) =>
      row
        .map((cell, column) => {
          const width = widths[column] ?? 0;
          return column === 0 || column === row.length - 1 ? cell.padEnd(width) : cell.padStart(width);
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
