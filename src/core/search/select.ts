import { nodeAt, pathTo } from './tree.ts';
import type { SearchNode, SearchParams, SearchTree } from './types.ts';

/** What a selection rule sees of one edge; pending visits of the same round are included. */
export interface EdgeStats {
  value: number;
  prior: number;
  /** N(S, a): visits of the child. */
  visits: number;
  /** N(S). */
  parentVisits: number;
}

export type EdgeScore = (edge: EdgeStats, exploration: number) => number;

export interface Selection {
  /** Different leaves to expand, at most `leavesPerRound`; empty when none is left. */
  leaves: number[];
  /** Closed leaves (terminals, nodes at the depth limit) that selection came to on the way. */
  revisits: number[];
}

/** A node is expanded once; after that, selection goes on to one of its children. */
export function isExpandable(node: SearchNode, params: Pick<SearchParams, 'maxDepth'>): boolean {
  return node.terminal === null && node.children.length === 0 && node.depth < params.maxDepth;
}

/**
 * Picks leaves one after the other by walking down the best-scored edges; ties go to the older child, so the choice is
 * deterministic. Every walk counts at once as a visit worth nothing (virtual loss), which drives the next walk of the
 * round elsewhere. A walk that ends in a closed leaf is a revisit of it, as in plain MCTS, and since a revisit costs no
 * model call, the walk is then repeated among the edges that still lead to a leaf: a round is never spent on nothing.
 */
export function selectLeaves(tree: SearchTree, params: SearchParams, score: EdgeScore): Selection {
  const { nodes } = tree;
  const pending = nodes.map(() => 0);
  const open = openLeavesBelow(nodes, params);
  const leaves: number[] = [];
  const revisits: number[] = [];

  const edgeScore = (parent: number, child: number): number => {
    const { value, prior, visits } = nodeAt(nodes, child);
    const virtual = pending[child] as number;
    return score(
      {
        value: virtual === 0 ? value : (value * visits) / (visits + virtual),
        prior,
        visits: visits + virtual,
        parentVisits: nodeAt(nodes, parent).visits + (pending[parent] as number),
      },
      params.exploration,
    );
  };

  const walk = (isAllowed: (id: number) => boolean): number => {
    let id = 0;
    for (;;) {
      const children = nodeAt(nodes, id).children.filter(isAllowed);
      if (children.length === 0) return id;
      const scores = children.map((child) => edgeScore(id, child));
      id = children[scores.indexOf(Math.max(...scores))] as number;
    }
  };

  const addPending = (id: number): void => {
    for (const step of pathTo(tree, id)) pending[step] = (pending[step] as number) + 1;
  };

  while (leaves.length < params.leavesPerRound && (open[0] as number) > 0) {
    const best = walk(() => true);
    if (!isExpandable(nodeAt(nodes, best), params)) {
      revisits.push(best);
      addPending(best);
    }
    const leaf = walk((id) => (open[id] as number) > 0);
    leaves.push(leaf);
    addPending(leaf);
    for (const step of pathTo(tree, leaf)) open[step] = (open[step] as number) - 1;
  }
  return { leaves, revisits };
}

/** For every node, how many expandable leaves its subtree holds (itself included). */
function openLeavesBelow(nodes: readonly SearchNode[], params: SearchParams): number[] {
  const open = nodes.map((node) => (isExpandable(node, params) ? 1 : 0) as number);
  // Parents precede children, so going backwards adds up whole subtrees.
  for (const node of nodes.toReversed()) {
    if (node.parent !== null) open[node.parent] = (open[node.parent] as number) + (open[node.id] as number);
  }
  return open;
}
