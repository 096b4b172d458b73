import type { Json, Problem } from '../core/problem.ts';
import { protocolDifferences } from '../core/protocol.ts';
import { mean } from '../core/stats/samples.ts';
import { comparePair } from '../report/comparisons.ts';
import { protocolOf } from '../report/protocol-of.ts';
import { type Evaluation, problemScores } from '../report/scores.ts';
import type { Comparison } from '../report/summary-schema.ts';
import { type Benchmark, type Entry, readAnswers } from './evaluations.ts';
import { answersReader, NotInRun, type StoredRun } from './stored-run.ts';

/** One checkpoint of each run. */
export interface CheckpointPair {
  from: string;
  to: string;
}

/** One pair of checkpoints on one benchmark, paired by problem. */
export interface RunComparison extends Comparison {
  /** pass@1 over the problems that both have. */
  scores: { from: number; to: number };
  samples: { from: number; to: number };
  /** Problems of one run only, and problems whose ids are equal and which are not: not compared. */
  onlyFrom: number;
  onlyTo: number;
  changed: number;
  /** Both runs use the very same stored answers. */
  sameAnswers: boolean;
  /** What of the protocol differs; empty where `sameProtocol`. */
  protocol: { path: string; from: Json; to: Json }[];
}

export interface RunsCompared {
  schema: 'astroflow.comparison/1';
  from: string;
  to: string;
  comparisons: RunComparison[];
  /** What one run has and the other has not. */
  notCompared: string[];
}

export interface CompareRunsOptions {
  /** `NAME` in both runs, or `NAME_A:NAME_B`; nothing: every name that both have. */
  checkpoints: readonly string[];
  bootstrapSamples: number;
}

/**
 * `to` minus `from` for each pair of checkpoints, on every benchmark that both runs have, paired by problem.
 * @throws NotInRun with what there is, where nothing can be compared
 */
export async function compareRuns(from: StoredRun, to: StoredRun, options: CompareRunsOptions): Promise<RunsCompared> {
  const pairs = pairsOf(from, to, options.checkpoints);
  const shared = from.plan.evaluate.benchmarks.flatMap((before) => {
    const after = to.plan.evaluate.benchmarks.find(({ name }) => name === before.name);
    return after === undefined ? [] : [{ before, after }];
  });
  if (shared.length === 0)
    throw new NotInRun(
      `The runs have no benchmark in common: ${from.name} has ${benchmarkNames(from).join(', ')}, ${to.name} has ` +
        `${benchmarkNames(to).join(', ')}.`,
    );
  const comparisons: RunComparison[] = [];
  for (const pair of pairs) comparisons.push(...(await comparePairOfRuns(from, to, pair, shared, options)));
  return { schema: 'astroflow.comparison/1', from: from.name, to: to.name, comparisons, notCompared: rest(from, to) };
}

type SharedBenchmark = { before: Benchmark; after: Benchmark };

async function comparePairOfRuns(
  from: StoredRun,
  to: StoredRun,
  pair: CheckpointPair,
  shared: readonly SharedBenchmark[],
  { bootstrapSamples }: CompareRunsOptions,
): Promise<RunComparison[]> {
  const sides: { before: Evaluation; after: Evaluation; facts: Facts }[] = [];
  for (const { before, after } of shared) {
    const changed = await changedProblems(from, before, to, after);
    const a = await evaluationOf(from, pair.from, before, changed);
    const b = await evaluationOf(to, pair.to, after, changed);
    sides.push({ before: a, after: b, facts: factsOf(a, b, changed.size, isSameArtifact(from, to, pair)) });
  }
  const compared = comparePair(
    { name: pair.from, evaluations: sides.map(({ before }) => before) },
    { name: pair.to, evaluations: sides.map(({ after }) => after) },
    { seed: from.plan.seed, bootstrapSamples },
  );
  return compared.map((comparison, i) => {
    const { facts } = sides[i] as (typeof sides)[number];
    // One file of answers: there is nothing to be uncertain of.
    const none = { difference: 0, low: 0, high: 0, pValue: 1, pHolm: 1, minimumDetectableDifference: null };
    return { ...comparison, ...(facts.sameAnswers && none), ...facts };
  });
}

type Facts = Omit<RunComparison, keyof Comparison>;

function factsOf(before: Evaluation, after: Evaluation, changed: number, sameAnswers: boolean): Facts {
  const [a, b] = [problemScores(before.answers), problemScores(after.answers)];
  const inA = new Set(a.map(({ problemId }) => problemId));
  const inB = new Set(b.map(({ problemId }) => problemId));
  const [bothA, bothB] = [
    a.filter(({ problemId }) => inB.has(problemId)),
    b.filter(({ problemId }) => inA.has(problemId)),
  ];
  const score = (scores: typeof a) => mean(scores.map(({ values }) => mean(values)));
  const most = (scores: typeof a) => Math.max(0, ...scores.map(({ values }) => values.length));
  return {
    scores: { from: score(bothA), to: score(bothB) },
    samples: { from: most(bothA), to: most(bothB) },
    onlyFrom: a.length - bothA.length,
    onlyTo: b.length - bothB.length,
    changed,
    sameAnswers,
    protocol: before.protocol && after.protocol ? protocolDifferences(before.protocol, after.protocol) : [],
  };
}

async function evaluationOf(
  run: StoredRun,
  checkpoint: string,
  benchmark: Benchmark,
  without: ReadonlySet<string>,
): Promise<Evaluation> {
  const { evaluate } = run.plan;
  const entry = evaluate.checkpoints.find(({ name }) => name === checkpoint) as Entry;
  const answers = await readAnswers(evaluate, entry, benchmark, answersReader(run));
  return {
    checkpoint,
    benchmark: benchmark.name,
    answers: answers.filter(({ problemId }) => !without.has(problemId)),
    protocol: protocolOf(evaluate, benchmark, answers),
  };
}

/** Ids that both sets have, of problems that are not the same: rows of a file that was edited, for example. */
async function changedProblems(
  from: StoredRun,
  before: Benchmark,
  to: StoredRun,
  after: Benchmark,
): Promise<Set<string>> {
  if (before.problems.sha256 === after.problems.sha256) return new Set();
  const read = ({ store }: StoredRun, { problems }: Benchmark) => store.getLines<Problem>(problems);
  const data = new Map((await read(from, before)).map((problem) => [problem.id, JSON.stringify(problem.data)]));
  const changed = (await read(to, after)).filter(
    ({ id, data: its }) => data.has(id) && data.get(id) !== JSON.stringify(its),
  );
  return new Set(changed.map(({ id }) => id));
}

function isSameArtifact(from: StoredRun, to: StoredRun, pair: CheckpointPair): boolean {
  const where = ({ plan }: StoredRun, name: string) =>
    `${plan.evaluate.key} ${plan.evaluate.checkpoints.find((entry) => entry.name === name)?.stageKey} ${name}`;
  return where(from, pair.from) === where(to, pair.to);
}

/** @throws NotInRun for a name that a run does not have */
function pairsOf(from: StoredRun, to: StoredRun, asked: readonly string[]): CheckpointPair[] {
  const [a, b] = [checkpointNames(from), checkpointNames(to)];
  if (asked.length === 0) {
    return a.filter((name) => b.includes(name)).map((name) => ({ from: name, to: name }));
  }
  return asked.map((text) => {
    const [first = '', second = first] = text.split(':');
    for (const [run, names, name] of [[from, a, first] as const, [to, b, second] as const])
      if (!names.includes(name))
        throw new NotInRun(`${run.name} has no checkpoint "${name}". It has ${names.join(', ')}.`);
    return { from: first, to: second };
  });
}

function rest(from: StoredRun, to: StoredRun): string[] {
  const only = (run: StoredRun, names: string[], others: string[], what: string) =>
    names.filter((name) => !others.includes(name)).map((name) => `${what} ${name} of ${run.name}`);
  return [
    ...only(from, checkpointNames(from), checkpointNames(to), 'checkpoint'),
    ...only(to, checkpointNames(to), checkpointNames(from), 'checkpoint'),
    ...only(from, benchmarkNames(from), benchmarkNames(to), 'benchmark'),
    ...only(to, benchmarkNames(to), benchmarkNames(from), 'benchmark'),
  ];
}

const checkpointNames = ({ plan }: StoredRun) => plan.evaluate.checkpoints.map(({ name }) => name);
const benchmarkNames = ({ plan }: StoredRun) => plan.evaluate.benchmarks.map(({ name }) => name);
