import { artifactNames, type LinearizePlan, type SearchPlan } from '../config/plan.ts';
import type { Problem } from '../core/problem.ts';
import type { SftRow } from '../core/records.ts';
import type { SearchTree } from '../core/search/types.ts';
import { getTask } from '../core/tasks/index.ts';
import { nodeOf, renderTrace, type TraceMove } from '../core/trace.ts';
import type { ArtifactStore } from '../services/store/store.ts';

/** The rows that one tree gave; none before its page is written. */
export async function rowsOfTree(
  store: ArtifactStore,
  plan: LinearizePlan,
  { number, slug }: { number: number; slug: string },
): Promise<SftRow[]> {
  const { pageSize } = plan.search.params;
  const ref = await store.find(artifactNames.rowsPart(plan, Math.floor(number / pageSize) * pageSize));
  if (ref === null) return [];
  const parts = await store.getLines<{ row: SftRow | null }>(ref);
  return parts.flatMap(({ row }) => (row?.tree === slug ? [row] : []));
}

/**
 * Which stretch of a row's text came of which event. Null where a narrator wrote the text in its own words: then only
 * the events are known, not where each begins.
 */
export function movesOf(row: SftRow, tree: SearchTree, search: SearchPlan, problem: Problem): TraceMove[] | null {
  const task = getTask(search.task);
  const failed = row.plan.events.flatMap(([kind, node]) =>
    kind === 'step' && tree.nodes[node]?.terminal?.correct === false ? [node] : [],
  );
  const events = row.plan.events.map(([kind, node]) => {
    if (kind === 'restart') return { kind };
    return kind === 'backtrack' ? { kind, to: node } : { kind, node };
  });
  const plan = {
    nodes: [...new Set([0, ...events.map(nodeOf)])],
    events,
    answers: failed.map((node) => ({ node, answerClass: '', correct: false })),
    requested: row.plan.requested,
    backtracks: row.plannedBacktracks,
  };
  const { text, moves } = renderTrace(plan, tree, task, problem);
  return text === row.text ? moves : null;
}
