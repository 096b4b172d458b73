import { readFile } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import type { ConfigProblem } from '../config/parse.ts';
import type { ProblemSource, RunConfig } from '../config/schema.ts';
import { findOverlap } from '../core/overlap.ts';
import { type Json, type Problem, ProblemRowError, UnusableProblem } from '../core/problem.ts';
import { deriveSeed } from '../core/seed.ts';
import type { Task } from '../core/task.ts';
import { getTask } from '../core/tasks/index.ts';

/** What one field of a configuration asks for. `path` is that field's: `search.problems`, `evaluate.benchmarks.NAME`. */
export interface ProblemSet {
  path: string;
  problems: Problem[];
  dropped: DroppedRow[];
}

/** A row that was left out because its answer cannot be checked. `at` is file and line. */
export interface DroppedRow {
  at: string;
  reason: string;
}

/** A test problem that also stands in the training data: ids, and the paths of the sets that they are ids of. */
export interface OverlapRow {
  benchmark: string;
  problem: string;
  training: string;
  trainingProblem: string;
  how: 'exact' | '13-gram';
  gram?: string;
}

export interface ProblemSets {
  search: ProblemSet;
  /** Null: RL trains on the searched problems. */
  rl: ProblemSet | null;
  benchmarks: (ProblemSet & { name: string })[];
}

/** All problem sets of a run. Adds to `complaints` instead of throwing, so that all are reported at once. */
export async function readProblemSets(config: RunConfig, complaints: ConfigProblem[]): Promise<ProblemSets> {
  const task = getTask(config.task);
  const read = (path: string, source: ProblemSource): Promise<ProblemSet> | ProblemSet =>
    'split' in source
      ? generateSet(path, source, task, config.seed, complaints)
      : readSet(path, source, task, complaints);
  const search = await read('search.problems', config.search.problems);
  const rl = config.rl.prompts && (await read('rl.prompts', config.rl.prompts));
  const benchmarks: ProblemSets['benchmarks'] = [];
  for (const [name, source] of Object.entries(config.evaluate.benchmarks)) {
    benchmarks.push({ name, ...(await read(`evaluate.benchmarks.${name}`, source)) });
  }
  return { search, rl, benchmarks };
}

/** Test problems that are searched (and so become training rows) or prompted in RL, by the task's statements. */
export function overlapOf({ search, rl, benchmarks }: ProblemSets, task: Task): OverlapRow[] {
  const entries = (set: ProblemSet) => set.problems.map((problem) => ({ path: set.path, problem }));
  const training = [search, ...(rl === null ? [] : [rl])].flatMap(entries);
  const { identity } = task;
  return findOverlap(
    benchmarks.flatMap(entries),
    training,
    ({ problem }) => task.statement(problem),
    identity && (({ problem }) => identity(problem)),
  ).map(({ test, training: found, ...how }) => ({
    benchmark: test.path,
    problem: test.problem.id,
    training: found.path,
    trainingProblem: found.problem.id,
    ...how,
  }));
}

/**
 * The sets without the training problems that overlap, and what overlapped. A test may overlap several training problems
 * and is found with the first of them, so it is looked for until none is left.
 */
export function leaveOutOverlap(sets: ProblemSets, task: Task): { sets: ProblemSets; overlapping: OverlapRow[] } {
  const overlapping = overlapOf(sets, task);
  if (overlapping.length === 0) return { sets, overlapping };
  const out = new Set(overlapping.map((row) => `${row.training} ${row.trainingProblem}`));
  const without = (set: ProblemSet): ProblemSet => ({
    ...set,
    problems: set.problems.filter((problem) => !out.has(`${set.path} ${problem.id}`)),
  });
  const rest = leaveOutOverlap({ ...sets, search: without(sets.search), rl: sets.rl && without(sets.rl) }, task);
  return { sets: rest.sets, overlapping: [...overlapping, ...rest.overlapping] };
}

/** A run's refusal, in words; nothing when no test problem overlaps. */
export function overlapComplaints(rows: readonly OverlapRow[]): ConfigProblem[] {
  if (rows.length === 0) return [];
  const count = rows.length === 1 ? '1 test problem also stands' : `${rows.length} test problems also stand`;
  return [
    {
      path: 'evaluate.overlap',
      message: `${count} in the training data, listed below: take them out of one side, or let this be "leave-out" or "allow"`,
    },
    ...rows.map(({ benchmark, problem, training, trainingProblem, gram }) => {
      const other = `"${trainingProblem}" of ${training}`;
      const message =
        gram === undefined ? `"${problem}" is ${other}` : `"${problem}" shares 13 words with ${other}: ${gram}`;
      return { path: benchmark, message };
    }),
  ];
}

function generateSet(
  path: string,
  { split, count }: { split: string; count: number },
  task: Task,
  seed: number,
  complaints: ConfigProblem[],
): ProblemSet {
  const set: ProblemSet = { path, problems: [], dropped: [] };
  try {
    set.problems = task.generate({ split, count, seed: deriveSeed(seed, 'problems', path, split) });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    complaints.push({ path, message: error.message });
  }
  return set;
}

/** Lines between two turns of the event loop: heartbeats must not wait for a long file. */
const linesPerTurn = 5_000;

/** Rows of a JSON Lines file, until `limit` of them are usable. */
async function readSet(
  path: string,
  { file, limit = Number.POSITIVE_INFINITY }: { file: string; limit?: number | undefined },
  task: Task,
  complaints: ConfigProblem[],
): Promise<ProblemSet> {
  const set: ProblemSet = { path, problems: [], dropped: [] };
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    complaints.push({ path: `${path}.file`, message: `cannot read ${file}: ${(error as Error).message}` });
    return set;
  }
  const knownBefore = complaints.length;
  const firstLineOf = new Map<string, number>();
  for (const [index, line] of text.split('\n').entries()) {
    if (index % linesPerTurn === linesPerTurn - 1) await setImmediate();
    if (line.trim() === '') continue;
    if (set.problems.length >= limit) break;
    const at = `${file}:${index + 1}`;
    try {
      const problem = task.parseRow(JSON.parse(line) as Json);
      const earlier = firstLineOf.get(problem.id);
      if (earlier !== undefined)
        complaints.push({ path: at, message: `id "${problem.id}" stands on line ${earlier} too` });
      firstLineOf.set(problem.id, index + 1);
      set.problems.push(problem);
    } catch (error) {
      if (error instanceof UnusableProblem) set.dropped.push({ at, reason: error.message });
      else if (error instanceof ProblemRowError || error instanceof SyntaxError)
        complaints.push({ path: at, message: error.message });
      else throw error;
    }
  }
  if (set.problems.length === 0 && complaints.length === knownBefore)
    complaints.push({ path: `${path}.file`, message: emptyText(file, set.dropped) });
  return set;
}

function emptyText(file: string, dropped: readonly DroppedRow[]): string {
  const [first] = dropped;
  if (first === undefined) return `${file} holds no problem`;
  return `no answer in ${file} can be checked, so all ${dropped.length} problems would be left out; ${first.at}: ${first.reason}`;
}
