import type { Problem } from './problem.ts';
import { lowestCommonAncestor, nodeAt, pathTo, terminals } from './search/tree.ts';
import type { SearchTree } from './search/types.ts';
import { createRandom, deriveSeed, type Random } from './seed.ts';
import type { Task } from './task.ts';

/** What happens in a trace, in order. Node ids are those of the tree. */
export type TraceEvent =
  /** The next step, down to and including a failed attempt's last one. */
  | { kind: 'step'; node: number }
  /** The step just taken looks right: its Q is high. */
  | { kind: 'reflectPositive'; node: number }
  /** Back to a proper ancestor of the failed attempt, the lowest one it shares with the next attempt. */
  | { kind: 'backtrack'; to: number }
  /** The same where that ancestor is the root. */
  | { kind: 'restart' }
  /** The last step, which holds the right answer. */
  | { kind: 'answer'; node: number }
  /** The same verdict as `reflectPositive`, on the finished solution. */
  | { kind: 'reflectAnswer'; node: number };

/** A tree as one sequence (ASTRO Algorithm 1) and what to say about it. */
export interface TracePlan {
  /** Root first; a node appears once; the last one is the correct terminal. */
  nodes: number[];
  events: TraceEvent[];
  /** The attempts in order, each with its answer class; only the last is correct. */
  answers: { node: number; answerClass: string; correct: boolean }[];
  /** k as asked for. */
  requested: number;
  /** k as planned: fewer where the tree holds fewer different sound wrong answers. */
  backtracks: number;
}

/** Why a tree gives no trace: counted in the funnel. */
export type InvalidTree =
  | 'no correct answer'
  | 'no sound correct answer'
  | 'no sound wrong answer'
  | 'no approved correct answer';

/** Right terminals that a judge approved of, by node id; left out where the task's rules are the only judge. */
export type Approved = ReadonlySet<number>;

export interface LinearizeOptions {
  /** k: failed attempts before the right one; 0 is a direct solution. */
  backtracks: number;
  seed: number;
  /** Steps with at least this Q get a positive reflection; null: none. */
  highValue: number | null;
  /** Only these may be the right attempt. */
  approved?: Approved;
}

/**
 * ASTRO Algorithm 1. Draws a correct terminal and k wrong ones with pairwise different answers, all of them sound (our
 * rule-based self-evaluation), and walks their paths; only nodes that were not shown yet are appended. The attempts
 * stand in a depth-first order with random branches and the right one last, so each return leads to a child of an
 * ancestor of the attempt that failed: the paper's order is not known beyond the last place.
 */
export function linearize(
  tree: SearchTree,
  task: Task,
  problem: Problem,
  options: LinearizeOptions,
): TracePlan | { invalid: InvalidTree } {
  const found = soundAttempts(tree, task, problem, options.backtracks > 0, options.approved);
  if ('invalid' in found) return found;
  const random = createRandom(options.seed);
  const star = random.pick(found.correct);
  const failed = drawWrong(found.wrong, star.answerClass, options.backtracks, random);
  const attempts = depthFirst([...failed, star], star, 0, random);
  return {
    ...walk(tree, task, attempts, options.highValue),
    answers: attempts.map(({ path, answerClass }) => ({
      node: last(path),
      answerClass,
      correct: last(path) === last(star.path),
    })),
    requested: options.backtracks,
    backtracks: failed.length,
  };
}

export interface RowsOptions {
  rowsPerTree: { search: number; direct: number };
  /** The k of a search row is drawn evenly from this list. */
  mix: readonly number[];
  seed: number;
  highValue: number | null;
  approved?: Approved;
}

export interface PlannedRow {
  arm: 'search' | 'direct';
  plan: TracePlan;
}

/** A small tree has few different traces: after this many draws per wanted row the rest is given up. */
const DRAWS_PER_ROW = 4;

/**
 * The rows of both arms from one tree, without duplicates inside an arm, so possibly fewer than asked for. An invalid
 * tree gives rows to neither: the arms differ in their traces, never in their problems.
 */
export function planRows(
  tree: SearchTree,
  task: Task,
  problem: Problem,
  options: RowsOptions,
): { rows: PlannedRow[] } | { invalid: InvalidTree } {
  const { highValue, approved } = options;
  const needsWrong = options.mix.some((k) => k > 0);
  const found = soundAttempts(tree, task, problem, needsWrong, approved);
  if ('invalid' in found) return found;
  const rows: PlannedRow[] = [];
  for (const arm of ['search', 'direct'] as const) {
    const wanted = options.rowsPerTree[arm];
    const seen = new Set<string>();
    for (let draw = 0; draw < wanted * DRAWS_PER_ROW && seen.size < wanted; draw++) {
      const seed = deriveSeed(options.seed, arm, draw);
      const backtracks = arm === 'direct' ? 0 : createRandom(deriveSeed(seed, 'k')).pick(options.mix);
      const plan = linearize(tree, task, problem, { backtracks, seed, highValue, ...(approved && { approved }) });
      if ('invalid' in plan) return plan;
      const sequence = plan.nodes.join(' ');
      if (!seen.has(sequence)) rows.push({ arm, plan });
      seen.add(sequence);
    }
  }
  return { rows };
}

/**
 * The right terminals a judge should look at, at most `most`, drawn by `seed`; none where the tree gives no trace
 * whatever a judge says.
 */
export function judgedSolutions(
  tree: SearchTree,
  task: Task,
  problem: Problem,
  options: Pick<RowsOptions, 'mix' | 'seed'> & { most: number },
): number[] {
  const needsWrong = options.mix.some((k) => k > 0);
  const found = soundAttempts(tree, task, problem, needsWrong);
  if ('invalid' in found) return [];
  const drawn = createRandom(deriveSeed(options.seed, 'judge')).shuffle(found.correct).slice(0, options.most);
  return drawn.map(({ path }) => last(path));
}

/** A sound terminal. */
interface Attempt {
  /** From the root to the terminal. */
  path: number[];
  answerClass: string;
}

function soundAttempts(
  tree: SearchTree,
  task: Task,
  problem: Problem,
  needsWrong: boolean,
  approved?: Approved,
): { correct: Attempt[]; wrong: Attempt[] } | { invalid: InvalidTree } {
  const finished = terminals(tree);
  const attempts = (correct: boolean) =>
    finished.flatMap(({ id, terminal }): Attempt[] => {
      if (terminal?.correct !== correct || !terminal.sound || terminal.answer === undefined) return [];
      return [{ path: pathTo(tree, id), answerClass: task.answerClass(problem, terminal.answer) }];
    });
  const [correct, wrong] = [attempts(true), attempts(false)];
  if (correct.length === 0) {
    const isSolved = finished.some((node) => node.terminal?.correct === true);
    return { invalid: isSolved ? 'no sound correct answer' : 'no correct answer' };
  }
  if (needsWrong && wrong.length === 0) return { invalid: 'no sound wrong answer' };
  if (approved === undefined) return { correct, wrong };
  const stars = correct.filter(({ path }) => approved.has(last(path)));
  return stars.length === 0 ? { invalid: 'no approved correct answer' } : { correct: stars, wrong };
}

/** Up to k wrong attempts, no two with the same answer and none with the right one. */
function drawWrong(wrong: readonly Attempt[], right: string, k: number, random: Random): Attempt[] {
  const drawn: Attempt[] = [];
  const used = new Set([right]);
  for (const attempt of random.shuffle(wrong)) {
    if (drawn.length >= k) break;
    if (!used.has(attempt.answerClass)) drawn.push(attempt);
    used.add(attempt.answerClass);
  }
  return drawn;
}

/** Attempts in a depth-first order: branches at random, except that the star's comes last at every node. */
function depthFirst(attempts: Attempt[], star: Attempt, depth: number, random: Random): Attempt[] {
  if (attempts.length < 2) return attempts;
  const branches = new Map<number | undefined, Attempt[]>();
  for (const attempt of attempts) {
    const branch = attempt.path[depth];
    branches.set(branch, [...(branches.get(branch) ?? []), attempt]);
  }
  const groups = random.shuffle([...branches.values()]);
  const ordered = [
    ...groups.filter((group) => !group.includes(star)),
    ...groups.filter((group) => group.includes(star)),
  ];
  return ordered.flatMap((group) => depthFirst(group, star, depth + 1, random));
}

function walk(
  tree: SearchTree,
  task: Task,
  attempts: readonly Attempt[],
  highValue: number | null,
): Pick<TracePlan, 'nodes' | 'events'> {
  const answer = last(last(attempts).path);
  const shown = new Set([0]);
  const events: TraceEvent[] = [];
  for (const [i, { path }] of attempts.entries()) {
    const failed = attempts[i - 1];
    if (failed !== undefined) {
      const to = lowestCommonAncestor(tree, last(failed.path), last(path));
      events.push(to === 0 ? { kind: 'restart' } : { kind: 'backtrack', to });
    }
    for (const node of path.filter((id) => !shown.has(id))) {
      shown.add(node);
      events.push({ kind: node === answer ? 'answer' : 'step', node });
      const { terminal, value } = nodeAt(tree.nodes, node);
      if (highValue !== null && terminal === null && value >= highValue) events.push({ kind: 'reflectPositive', node });
    }
  }
  if (highValue !== null && task.phrases.reflectAnswer !== undefined) {
    events.push({ kind: 'reflectAnswer', node: answer });
  }
  return { nodes: [...shown], events };
}

/** Of a list that is never empty: a path holds its root, a plan its right attempt. */
function last<T>(items: readonly T[]): T {
  return items.at(-1) as T;
}
