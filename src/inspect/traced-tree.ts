import type { SearchPlan } from '../config/plan.ts';
import { problemSlug } from '../core/key.ts';
import type { Problem } from '../core/problem.ts';
import { nodeAt } from '../core/search/index.ts';
import type { Usage } from '../core/usage.ts';
import { readSearch } from '../runs/search.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import type { RelatedRow } from './related.ts';

/** A node that a trace shows, as the search left it. */
export interface TracedNode {
  node: number;
  /** The step, in one line. */
  text: string;
  visits: number;
  value: number;
  /** Verdict of a finished attempt; null while it is none. */
  correct: boolean | 'unknown' | null;
  /** Round that made the node, from 0; null where only the finished tree is stored. */
  round: number | null;
}

/** The tree that a training row was read from: the nodes of its trace, and the calls that paid for them. */
export interface TracedTree {
  slug: string;
  problemId: string;
  rounds: number;
  nodes: number;
  /** Of the whole tree. */
  usage: Usage;
  trace: TracedNode[];
  /** Calls of the rounds that made the trace's nodes. */
  calls: string[];
}

const lineLength = 80;

/** Null where the tree is not stored. */
export async function tracedTree(
  search: SearchPlan,
  store: ArtifactStore,
  row: RelatedRow,
): Promise<TracedTree | null> {
  const problems = await store.getLines<Problem>(search.problems);
  const problem = problems.find(({ id }) => problemSlug(id) === row.tree);
  const found = problem === undefined ? null : await readSearch(store, search, problem);
  if (problem === undefined || found === null) return null;
  const { tree, moments } = found;
  const isWhole = moments.length > 1;
  const roundOf = (node: number) => moments.findIndex(({ nodes }) => node < nodes) - 1;
  const shown = [...new Set(row.events.map(([, node]) => node))].filter((node) => node < tree.nodes.length);
  const rounds = new Set(shown.filter((node) => node > 0).map(roundOf));
  return {
    slug: row.tree,
    problemId: problem.id,
    rounds: tree.rounds,
    nodes: tree.nodes.length,
    usage: tree.usage,
    trace: shown.map((id) => {
      const { text, visits, value, terminal } = nodeAt(tree.nodes, id);
      const line = text.replace(/\s+/g, ' ').trim().slice(0, lineLength);
      const round = isWhole && id > 0 ? roundOf(id) : null;
      return { node: id, text: line, visits, value, correct: terminal?.correct ?? null, round };
    }),
    calls: isWhole
      ? moments.flatMap(({ calls }, i) => (rounds.has(i - 1) ? calls : []))
      : moments.flatMap(({ calls }) => calls),
  };
}
