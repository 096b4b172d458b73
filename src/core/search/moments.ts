import type { Usage } from '../usage.ts';
import { applyRound } from './apply.ts';
import { bestPath } from './best-path.ts';
import { createTree } from './tree.ts';
import type { SearchNode, SearchParams, SearchRound, SearchTree } from './types.ts';

/** What of a node changes while a search goes on; the rest is as it was made. */
export interface NodeState {
  id: number;
  visits: number;
  value: number;
  prior: number;
  multiplicity: number;
  reward: number;
  rollouts: number;
  /** Verdict of a finished attempt; null while it is none. */
  correct: boolean | 'unknown' | null;
}

/** A search after so many rounds, as its difference from the moment before. */
export interface Moment {
  rounds: number;
  /** Nodes there are: those with smaller ids. */
  nodes: number;
  /** States of new nodes, and of others that are no longer what they were. */
  changed: NodeState[];
  /** The best path then. */
  best: number[];
  /** Calls of its last round, and what they cost. */
  calls: string[];
  usage: Usage;
}

/**
 * Every moment of a search, from the root alone to its last stored round: a fold of the rounds that keeps what each of
 * them did. `nodes.slice(0, moment.nodes)` with all changes up to a moment is the tree that the search had then.
 */
export function searchMoments(
  problemId: string,
  rounds: readonly SearchRound[],
  params: SearchParams,
): { tree: SearchTree; moments: Moment[] } {
  let tree = createTree(problemId);
  const moments: Moment[] = [
    { rounds: 0, nodes: 1, changed: tree.nodes.map(stateOf), best: [0], calls: [], usage: tree.usage },
  ];
  for (const round of rounds) {
    const before = tree;
    tree = applyRound(tree, round, params);
    const changed = tree.nodes.map(stateOf).filter((state) => !isSame(state, before.nodes[state.id]));
    const { calls, usage } = round;
    moments.push({ rounds: tree.rounds, nodes: tree.nodes.length, changed, best: bestPath(tree), calls, usage });
  }
  return { tree, moments };
}

export function stateOf(node: SearchNode): NodeState {
  const { id, visits, value, prior, multiplicity, reward, rollouts, terminal } = node;
  return {
    id,
    visits,
    value,
    prior,
    multiplicity,
    reward,
    rollouts: rollouts.length,
    correct: terminal === null ? null : terminal.correct,
  };
}

function isSame(state: NodeState, node: SearchNode | undefined): boolean {
  if (node === undefined) return false;
  const before = stateOf(node);
  return (Object.keys(state) as (keyof NodeState)[]).every((field) => state[field] === before[field]);
}
