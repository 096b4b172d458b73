import { nodeAt, pathTo } from './tree.ts';
import type { SearchNode } from './types.ts';

/** R(S): its own verdict when terminal, else the mean verdict of its rollouts (ASTRO Eq. 2). `unknown` pays nothing. */
export function rewardOf(node: Pick<SearchNode, 'terminal' | 'rollouts'>): number {
  if (node.terminal !== null) return node.terminal.correct === true ? 1 : 0;
  if (node.rollouts.length === 0) return 0;
  return node.rollouts.filter((rollout) => rollout.correct === true).length / node.rollouts.length;
}

/**
 * Q of the edge into a node: the visit-weighted mean of its outgoing edges' values, with its own rollout score as one
 * more observation. A node that was never scored itself (the root, the inner nodes of plain sampling) has only its
 * children's; with neither it is 0.
 */
export function backedUpValue(node: SearchNode, nodes: readonly SearchNode[]): number {
  const isScored = node.terminal !== null || node.rollouts.length > 0;
  let [sum, weight] = isScored ? [node.reward, 1] : [0, 0];
  for (const id of node.children) {
    const child = nodeAt(nodes, id);
    sum += child.value * child.visits;
    weight += child.visits;
  }
  // A weighted mean of values in [0, 1]; the clamp takes off what rounding may add.
  return weight === 0 ? 0 : Math.min(1, sum / weight);
}

/**
 * Counts visits to a node and recomputes Q bottom-up on its path. Once for every new child, and once whenever
 * selection comes to a terminal again. Q depends on the final counts only, so the order inside a round does not matter.
 * Changes `nodes` in place: the caller owns them.
 */
export function backup(nodes: readonly SearchNode[], id: number, times = 1): void {
  for (const step of pathTo({ nodes }, id).toReversed()) {
    const node = nodeAt(nodes, step);
    node.visits += times;
    node.value = backedUpValue(node, nodes);
  }
}
