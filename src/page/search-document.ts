import type { Plan } from '../config/plan.ts';
import type { Moment } from '../core/search/moments.ts';
import type { SearchNode } from '../core/search/types.ts';
import { getTask } from '../core/tasks/index.ts';
import type { Usage } from '../core/usage.ts';
import { drawTree } from '../report/tree/draw.ts';
import { oneLine } from '../report/tree/node-facts.ts';
import { tracePath } from '../report/tree/trace-path.ts';
import type { StoredSearch } from '../runs/search.ts';
import { rowsOfTree } from '../runs/traces.ts';
import type { ArtifactStore } from '../services/store/store.ts';

/** What the tree viewer draws and scrubs: the tree as it is now, and every moment as a difference from the one before. */
export interface SearchDocument {
  schema: 'astroflow.search-page/1';
  finished: boolean;
  /** The most rounds this search may take. */
  mostRounds: number;
  moments: Moment[];
  nodes: { id: number; parent: number | null; depth: number; text: string; answer: string | null; tokens: number }[];
  /** SVG of the latest tree, with the chosen trace's path. */
  svg: string;
  /** Nodes that are not drawn, the least visited. */
  left: number;
  /** Training rows that were read from the tree. */
  traces: { label: string; backtracks: number }[];
  /** Which of them is drawn. */
  trace: number | null;
}

/** One node with all that is long: asked for when a person chooses it. */
export interface NodeDocument {
  schema: 'astroflow.node-page/1';
  id: number;
  text: string;
  /** Round that made it, from 1; 0 for the root, null where the rounds are gone. */
  round: number | null;
  sound: boolean | null;
  rollouts: { text: string; correct: boolean | 'unknown'; answer?: string; tokens: number }[];
  /** Calls of that round, which made its other nodes too, and what they cost together. */
  calls: string[];
  usage: Usage;
}

/** More nodes than in the report, since this page has room to scroll. */
const mostNodes = 400;
/** Of a step's text; a chosen node shows all of it. */
const mostTextCharacters = 400;

export async function searchDocument(
  store: ArtifactStore,
  plan: Plan,
  search: StoredSearch,
  number: number,
  trace: number | null,
): Promise<SearchDocument> {
  const { problem, slug, tree, moments, finished } = search;
  const rows = await rowsOfTree(store, plan.linearize, { number, slug });
  const row = trace === null ? undefined : rows[trace];
  const label = `Search tree of: ${oneLine(getTask(plan.search.task).statement(problem), 120)}`;
  const drawing = drawTree(tree, {
    id: 'tree',
    label,
    mostNodes,
    trace: row === undefined ? null : tracePath(row.plan),
  });
  return {
    schema: 'astroflow.search-page/1',
    finished,
    mostRounds: plan.search.params.rounds,
    moments,
    nodes: tree.nodes.map(shortNode),
    svg: drawing.svg,
    left: drawing.left,
    traces: rows.map(({ arm, backtracks }, i) => ({ label: `${arm} row ${i + 1}`, backtracks })),
    trace: row === undefined ? null : trace,
  };
}

export function nodeDocument({ tree, moments }: StoredSearch, id: number): NodeDocument | null {
  const node = tree.nodes[id];
  if (node === undefined) return null;
  const made = moments.length > 1 ? moments.findIndex(({ nodes }) => id < nodes) : -1;
  const moment = moments[made];
  return {
    schema: 'astroflow.node-page/1',
    id,
    text: node.text,
    round: moment === undefined ? null : moment.rounds,
    sound: node.terminal?.sound ?? null,
    rollouts: node.rollouts,
    calls: moment?.calls ?? [],
    usage: moment?.usage ?? { calls: 0, promptTokens: 0, completionTokens: 0 },
  };
}

function shortNode({ id, parent, depth, text, terminal, tokens }: SearchNode): SearchDocument['nodes'][number] {
  return {
    id,
    parent,
    depth,
    text: text.slice(0, mostTextCharacters),
    answer: terminal?.answer ?? null,
    tokens: tokens.length,
  };
}
