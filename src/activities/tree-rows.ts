import type { LinearizePlan } from '../config/plan.ts';
import type { VoteCount } from '../core/language/votes.ts';
import { type PlannedRow, planRows, type RowsOptions, type TracePlan } from '../core/linearize.ts';
import type { LanguageCounts, RowPlan, TrainingArm } from '../core/records.ts';
import { deriveSeed } from '../core/seed.ts';
import type { Task } from '../core/task.ts';
import { nodeOf, renderTrace } from '../core/trace.ts';
import type { StoredTree } from './search.ts';

/** One text from a tree, before it is tokens. */
export interface TreeRow {
  arm: TrainingArm;
  text: string;
  plannedBacktracks: number;
  plan: RowPlan;
  votes: VoteCount | null;
  fallbacks: number;
}

/** What the language stage made of one tree; `invalid`: why it gives no row. */
export interface TreeRows {
  schema: 'astroflow.tree-rows/1';
  problemId: string;
  rows: TreeRow[];
  invalid?: string;
  counts: LanguageCounts;
  /** Credited calls, for the ledger. */
  calls: string[];
}

export function rowsOptions(plan: LinearizePlan, problemId: string): RowsOptions {
  const { params } = plan;
  return {
    rowsPerTree: { search: params.searchRowsPerTree, direct: params.directRowsPerTree },
    mix: params.backtracks,
    seed: deriveSeed(plan.seed, plan.key, problemId),
    highValue: params.highValue,
  };
}

/** The rows of a tree by the task's rules and templates alone. */
export function templateRows(
  plan: LinearizePlan,
  task: Task,
  { problem, tree }: StoredTree,
): { rows: TreeRow[] } | { invalid: string } {
  const planned = planRows(tree, task, problem, rowsOptions(plan, problem.id));
  if ('invalid' in planned) return planned;
  return { rows: planned.rows.map((row) => treeRow(row, renderTrace(row.plan, tree, task, problem).text)) };
}

export function treeRow({ arm, plan }: PlannedRow, text: string): TreeRow {
  return { arm, text, plannedBacktracks: plan.backtracks, plan: inShort(plan), votes: null, fallbacks: 0 };
}

function inShort({ requested, events }: TracePlan): RowPlan {
  return { requested, events: events.map((event) => [event.kind, nodeOf(event)]) };
}
