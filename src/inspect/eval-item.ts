import type { EvaluatePlan } from '../config/plan.ts';
import type { Problem } from '../core/problem.ts';
import { findProblem } from '../runs/problems.ts';
import type { Benchmark, Entry } from './evaluations.ts';
import { NotInRun, type StoredRun } from './stored-run.ts';

/** One evaluated answer of a run. */
export interface EvalItem {
  benchmark: Benchmark;
  problem: Problem;
  /** Row in the benchmark, from 0. */
  row: number;
  sample: number;
  entry: Entry;
}

/**
 * The answer that a person means by `benchmark/problem[/sample][@checkpoint]`. The benchmark may be left out where only
 * one has such a problem; the problem is an id, a slug, a row or words of it, as for `astroflow tree`; the sample is 0 and
 * the checkpoint the last one scored unless named.
 *
 * @throws NotInRun with what may have been meant
 */
export async function findEvalItem(run: StoredRun, text: string): Promise<EvalItem> {
  const { evaluate } = run.plan;
  const { rest, entry } = takeCheckpoint(evaluate, text, run.name);
  const named = evaluate.benchmarks
    .filter(({ name }) => rest === name || rest.startsWith(`${name}/`))
    .sort((a, b) => b.name.length - a.name.length)[0];
  const wanted = named === undefined ? rest : rest.slice(named.name.length + 1);
  const found: Omit<EvalItem, 'entry'>[] = [];
  const suggestions: string[] = [];
  for (const benchmark of named === undefined ? evaluate.benchmarks : [named]) {
    const problems = await run.store.getLines<Problem>(benchmark.problems);
    const one = findIn(evaluate, problems, wanted);
    if ('row' in one) found.push({ benchmark, problem: problems[one.row] as Problem, ...one });
    else suggestions.push(...one.suggestions.map((line) => `${benchmark.name}/${line}`));
  }
  const [item] = found;
  if (found.length === 1 && item !== undefined) return { ...checked(run, item), entry };
  if (found.length > 1)
    throw new NotInRun(
      `"${rest}" is in more than one benchmark of ${run.name}: write ` +
        `${found.map(({ benchmark, problem }) => `${benchmark.name}/${problem.id}`).join(' or ')}.`,
    );
  const where = named?.name ?? evaluate.benchmarks.map(({ name }) => name).join(', ');
  throw new NotInRun(
    `"${wanted}" is not one problem of ${where}. By row, slug or words, for example:\n` +
      suggestions.map((line) => `  ${line}`).join('\n'),
  );
}

function takeCheckpoint({ checkpoints }: EvaluatePlan, text: string, run: string): { rest: string; entry: Entry } {
  const names = checkpoints.map(({ name }) => name).join(', ');
  const at = text.lastIndexOf('@');
  const [rest, name] = at < 0 ? [text, null] : [text.slice(0, at), text.slice(at + 1)];
  const entry = name === null ? checkpoints.at(-1) : checkpoints.find((one) => one.name === name);
  if (entry === undefined) throw new NotInRun(`${run} has no checkpoint "${name}". It has ${names}.`);
  return { rest, entry };
}

/** The whole text as a problem, else without a sample's number at its end: ids may hold slashes themselves. */
function findIn(
  plan: EvaluatePlan,
  problems: readonly Problem[],
  text: string,
): { row: number; sample: number } | { suggestions: string[] } {
  const whole = findProblem(plan, problems, text);
  if ('number' in whole) return { row: whole.number, sample: 0 };
  const cut = /^(.+)\/(\d+)$/.exec(text);
  if (cut === null) return whole;
  const part = findProblem(plan, problems, cut[1] as string);
  return 'number' in part ? { row: part.number, sample: Number(cut[2]) } : part;
}

function checked<T extends Omit<EvalItem, 'entry'>>({ name, plan }: StoredRun, item: T): T {
  const { samplesPerProblem } = plan.evaluate.params;
  if (item.sample < samplesPerProblem) return item;
  throw new NotInRun(`${name} has ${samplesPerProblem} samples of each problem, 0 to ${samplesPerProblem - 1}.`);
}
