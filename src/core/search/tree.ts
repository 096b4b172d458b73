import { noUsage } from '../usage.ts';
import type { SearchNode, SearchTree } from './types.ts';

/** A tree that is only its root: no visits, nothing asked. */
export function createTree(problemId: string): SearchTree {
  return { problemId, rounds: 0, nodes: [newNode({ id: 0, parent: null, depth: 0, text: '' })], usage: noUsage };
}

/** A node before its first visit. */
export function newNode(node: Pick<SearchNode, 'id' | 'parent' | 'depth' | 'text'>): SearchNode {
  return {
    ...node,
    tokens: [],
    prior: 1,
    meanLogprob: 0,
    multiplicity: node.parent === null ? 1 : 0,
    visits: 0,
    value: 0,
    reward: 0,
    children: [],
    terminal: null,
    rollouts: [],
  };
}

/** @throws RangeError when the tree has no such node. */
export function nodeAt(nodes: readonly SearchNode[], id: number): SearchNode {
  const node = nodes[id];
  if (node === undefined) throw new RangeError(`The search tree has no node ${id}; it has ${nodes.length} nodes.`);
  return node;
}

/** Ids from the root down to the node, both included. */
export function pathTo(tree: { nodes: readonly SearchNode[] }, id: number): number[] {
  const path: number[] = [];
  for (let at: number | null = id; at !== null; at = nodeAt(tree.nodes, at).parent) path.push(at);
  return path.reverse();
}

/** Texts of the steps that lead to the node; empty for the root. */
export function stepsTo(tree: SearchTree, id: number): string[] {
  return pathTo(tree, id)
    .slice(1)
    .map((step) => nodeAt(tree.nodes, step).text);
}

/** Token ids after the prompt, as they were sampled. */
export function tokensTo(tree: SearchTree, id: number): number[] {
  return pathTo(tree, id).flatMap((step) => nodeAt(tree.nodes, step).tokens);
}

/** Finished attempts, depth first in the order of the children. */
export function terminals(tree: SearchTree): SearchNode[] {
  const found: SearchNode[] = [];
  const stack = [0];
  for (let id = stack.pop(); id !== undefined; id = stack.pop()) {
    const node = nodeAt(tree.nodes, id);
    if (node.terminal !== null) found.push(node);
    stack.push(...node.children.toReversed());
  }
  return found;
}

/** The deepest node whose subtree holds both; a node counts as its own ancestor. */
export function lowestCommonAncestor(tree: SearchTree, a: number, b: number): number {
  const ancestors = new Set(pathTo(tree, a));
  return pathTo(tree, b).findLast((id) => ancestors.has(id)) as number;
}

/** Depth of the deepest node; 0 for a root alone. */
export function treeDepth(tree: SearchTree): number {
  return tree.nodes.reduce((deepest, node) => Math.max(deepest, node.depth), 0);
}
