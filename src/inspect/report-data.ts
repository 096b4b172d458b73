import type { IndexedTree, StoredTree } from '../activities/search.ts';
import { artifactNames, type Plan } from '../config/plan.ts';
import { withoutSecrets } from '../config/redact.ts';
import type { RunConfig } from '../config/schema.ts';
import { readMoves } from '../core/moves.ts';
import type { SftRow } from '../core/records.ts';
import { nodeAt } from '../core/search/tree.ts';
import type { Task } from '../core/task.ts';
import { getTask } from '../core/tasks/index.ts';
import type { ReportData, TreeExample } from '../report/html/report-data.ts';
import type { Summary } from '../report/summary-schema.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import { readTranscripts } from './transcripts.ts';

/** What a run's report shows beside its summary: a few trees, a few answers, the configuration. Reads little of each. */
export async function readReportData(store: ArtifactStore, plan: Plan, summary: Summary): Promise<ReportData> {
  const config = await store.getJson<RunConfig>(plan.config);
  return {
    summary,
    trees: await readTrees(store, plan),
    transcripts: await readTranscripts(store, plan),
    config: JSON.stringify(withoutSecrets(config), null, 2),
  };
}

interface Choice {
  why: string;
  slug: string;
  row: SftRow | null;
}

/** Of the first page of trees, so that a corpus of any size costs the same. */
async function readTrees(store: ArtifactStore, plan: Plan): Promise<TreeExample[]> {
  const index = await linesOf<IndexedTree>(store, artifactNames.searchIndex(plan.search, 0));
  const parts = await linesOf<{ row: SftRow | null }>(store, artifactNames.rowsPart(plan.linearize, 0));
  const rows = parts.flatMap(({ row }) => (row === null ? [] : [row]));
  const task = getTask(plan.search.task);
  const examples: TreeExample[] = [];
  for (const { why, slug, row } of chooseTrees(index, rows)) {
    const ref = index.find((entry) => entry.slug === slug)?.tree;
    if (!ref) continue;
    const { problem, tree } = await store.getJson<StoredTree>(ref);
    const answer = row === null ? undefined : answerOf(row, tree);
    examples.push({
      why,
      problem: task.statement(problem),
      tree,
      row: row && { plan: row.plan, moves: readMoves(row.text, task as Task, problem, answer) },
    });
  }
  return examples;
}

/** By what they are the first of, each tree once; what there is none of is left out. */
export function chooseTrees(index: readonly IndexedTree[], rows: readonly SftRow[]): Choice[] {
  const search = rows.filter(({ arm }) => arm === 'search');
  const most = Math.max(0, ...search.map(({ backtracks }) => backtracks));
  const withRows = new Set(rows.map(({ tree }) => tree));
  const chosen: Choice[] = [];
  const isNew = (slug: string) => chosen.every((choice) => choice.slug !== slug);
  const byRow = (why: string, holds: (row: SftRow) => boolean) => {
    const row = search.find((one) => holds(one) && isNew(one.tree));
    if (row !== undefined) chosen.push({ why, slug: row.tree, row });
  };
  const byTree = (why: string, holds: (entry: IndexedTree) => boolean) => {
    const entry = index.find((one) => one.tree !== null && holds(one) && isNew(one.slug));
    if (entry !== undefined) chosen.push({ why, slug: entry.slug, row: null });
  };
  if (most > 1)
    byRow(
      `The first tree whose training text goes back ${most} times, the most there is`,
      (row) => row.backtracks === most,
    );
  byRow('The first whose training text goes back once', (row) => row.backtracks === 1);
  byTree('The first without a right answer', ({ solved }) => !solved);
  byTree(
    'The first with a right answer that gave no training text',
    ({ solved, slug }) => solved && !withRows.has(slug),
  );
  return chosen;
}

function answerOf({ plan }: SftRow, tree: StoredTree['tree']): string | undefined {
  const end = plan.events.findLast(([kind]) => kind === 'answer');
  return end === undefined ? undefined : nodeAt(tree.nodes, end[1]).terminal?.answer;
}

async function linesOf<T>(store: ArtifactStore, name: string): Promise<T[]> {
  const ref = await store.find(name);
  return ref === null ? [] : store.getLines<T>(ref);
}
