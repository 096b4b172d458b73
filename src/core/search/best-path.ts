import { nodeAt, pathTo, terminals } from './tree.ts';
import type { SearchNode, SearchTree } from './types.ts';

/**
 * The path that a reader of the tree should see first, from the root down: to the right terminal that the search
 * visited most (then the one of higher Q, then the older); while none is right, the most visited child at each node.
 */
export function bestPath(tree: SearchTree): number[] {
  const right = terminals(tree).filter(({ terminal }) => terminal?.correct === true);
  if (right.length > 0) return pathTo(tree, right.reduce(better).id);
  const path = [0];
  for (let at = nodeAt(tree.nodes, 0); at.children.length > 0; path.push(at.id)) {
    at = at.children.map((child) => nodeAt(tree.nodes, child)).reduce(better);
  }
  return path;
}

function better(a: SearchNode, b: SearchNode): SearchNode {
  if (a.visits !== b.visits) return a.visits > b.visits ? a : b;
  if (a.value !== b.value) return a.value > b.value ? a : b;
  return a.id < b.id ? a : b;
}
