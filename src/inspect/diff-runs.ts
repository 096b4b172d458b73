import type { Plan } from '../config/plan.ts';
import type { Json } from '../core/problem.ts';
import { differences } from '../core/protocol.ts';
import type { Summary } from '../report/summary-schema.ts';
import { configOf, type StoredRun, summaryOf } from './stored-run.ts';

/** One stage's content key in both runs: equal keys mean that the runs share its artifacts. */
export interface KeyDifference {
  stage: string;
  from: string | null;
  to: string | null;
  shared: boolean;
  /** By whom it was made, where the summaries say; null where one has none. */
  reused: { from: boolean | null; to: boolean | null };
}

interface Value {
  path: string;
  from: Json;
  to: Json;
}

/** What differs between two runs; a part that one of them has not written yet is null. */
export interface RunsDiffer {
  schema: 'astroflow.diff/1';
  from: string;
  to: string;
  config: Value[];
  keys: KeyDifference[];
  versions: Value[] | null;
  /** Values of both, not paired: `compareRuns` says which differences are real. */
  results: Value[] | null;
}

export async function diffRuns(from: StoredRun, to: StoredRun): Promise<RunsDiffer> {
  const [before, after] = [await summaryOf(from), await summaryOf(to)];
  const [a, b] = [await configOf(from), await configOf(to)];
  const both = before !== null && after !== null;
  return {
    schema: 'astroflow.diff/1',
    from: from.name,
    to: to.name,
    config: differences(a as unknown as Json, b as unknown as Json).filter(({ path }) => path !== 'run'),
    keys: keyDifferences(from.plan, to.plan, before, after),
    versions: both ? differences(before.versions, after.versions) : null,
    results: both ? differences(resultsOf(before), resultsOf(after)) : null,
  };
}

function keyDifferences(from: Plan, to: Plan, before: Summary | null, after: Summary | null): KeyDifference[] {
  const [a, b] = [keysOf(from), keysOf(to)];
  const stages = [...new Set([...a.keys(), ...b.keys()])];
  return stages.map((stage) => {
    const [first, second] = [a.get(stage) ?? null, b.get(stage) ?? null];
    const reused = { from: isReused(before, stage), to: isReused(after, stage) };
    return { stage, from: first, to: second, shared: first !== null && first === second, reused };
  });
}

/** By stage, `sft search` for one of an arm. Problem sets stand beside: a search key serves any of them. */
function keysOf(plan: Plan): Map<string, string> {
  return new Map([
    ['search', plan.search.key],
    ['problems of search', plan.search.problems.sha256.slice(0, 16)],
    ['linearize', plan.linearize.key],
    ...plan.arms.flatMap((arm): [string, string][] => {
      const rl: [string, string][] = plan.rl[arm].params.iterations > 0 ? [[`rl ${arm}`, plan.rl[arm].key]] : [];
      return [[`sft ${arm}`, plan.sft[arm].key], ...rl];
    }),
    ['evaluate', plan.evaluate.key],
    ...plan.evaluate.benchmarks.map(({ name, problems }): [string, string] => [
      `problems of ${name}`,
      problems.sha256.slice(0, 16),
    ]),
  ]);
}

function isReused(summary: Summary | null, stage: string): boolean | null {
  const found = summary?.stages.find(({ name, arm }) => [name, arm].filter(Boolean).join(' ') === stage);
  return found?.reused ?? null;
}

/** What a person looks for first in a run's results, as one object. */
function resultsOf(summary: Summary): Json {
  const named = <T>(items: readonly T[], name: (item: T) => string, value: (item: T) => Json) =>
    Object.fromEntries(items.map((item) => [name(item), value(item)]));
  const { problems, trees, solved, valid, searchRows, directRows } = summary.funnel;
  return {
    'pass@1': named(
      summary.scores,
      ({ benchmark, checkpoint }) => `${benchmark} ${checkpoint}`,
      ({ passAt1 }) => passAt1.value,
    ),
    protocols: named(
      summary.protocols,
      ({ protocol, checkpoints }) => `${protocol.benchmark} ${checkpoints[0]}`,
      ({ hash }) => hash,
    ),
    funnel: { problems, trees, solved, valid, searchRows, directRows },
    iterations: Object.fromEntries(Object.entries(summary.rl).map(([arm, curve]) => [arm, curve.length])),
    tokens: named(
      summary.stages,
      ({ name, arm }) => [name, arm].filter(Boolean).join(' '),
      ({ tokens }) => tokens,
    ),
    wallSeconds: summary.wallSeconds,
  };
}
