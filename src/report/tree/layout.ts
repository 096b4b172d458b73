import { cluster, hierarchy } from 'd3-hierarchy';
import { nodeAt } from '../../core/search/tree.ts';
import type { SearchNode, SearchTree } from '../../core/search/types.ts';

/** A node with its place: x grows with depth, y down the siblings. */
export interface PlacedNode {
  node: SearchNode;
  x: number;
  y: number;
}

export interface TreeLayout {
  /** Depth first, which is also the order of reading. */
  placed: PlacedNode[];
  width: number;
  height: number;
  /** Nodes of the tree that are not drawn. */
  left: number;
}

export interface LayoutOptions {
  /** Nodes at most; the least visited are left out, those in `keep` and their ancestors never. */
  mostNodes: number;
  keep?: readonly number[];
  /** Pixels from one depth to the next, and from one leaf to the next. */
  depthGap: number;
  rowGap: number;
  margin: { top: number; right: number; bottom: number; left: number };
}

interface Branch {
  node: SearchNode;
  children: Branch[];
}

/** Leaves of one parent stand closer together than those of two, in rows. */
const BETWEEN_FAMILIES = 1.5;

/**
 * A search tree from left to right by d3-hierarchy's `cluster`: every leaf has a row of its own, so that there is room
 * for what is written beside it, and other nodes stand in the middle of their children. Deterministic.
 */
export function layoutTree(tree: Pick<SearchTree, 'nodes'>, options: LayoutOptions): TreeLayout {
  const { depthGap, rowGap, margin } = options;
  const shown = shownNodes(tree, options);
  const branch = (id: number): Branch => {
    const node = nodeAt(tree.nodes, id);
    return { node, children: node.children.filter((child) => shown.has(child)).map(branch) };
  };
  const root = cluster<Branch>()
    .nodeSize([rowGap, 1])
    .separation((a, b) => (a.parent === b.parent ? 1 : BETWEEN_FAMILIES))(hierarchy(branch(0)));
  const rows = root.descendants().map(({ x }) => x);
  const [top, bottom] = [Math.min(...rows), Math.max(...rows)];
  const placed: PlacedNode[] = [];
  root.eachBefore(({ data, depth, x }) => {
    placed.push({ node: data.node, x: margin.left + depth * depthGap, y: margin.top + x - top });
  });
  return {
    placed,
    width: margin.left + root.height * depthGap + margin.right,
    height: margin.top + bottom - top + margin.bottom,
    left: tree.nodes.length - placed.length,
  };
}

/** The most visited nodes: with every node its ancestors, which are visited at least as often. */
function shownNodes({ nodes }: Pick<SearchTree, 'nodes'>, { mostNodes, keep = [] }: LayoutOptions): Set<number> {
  const shown = new Set<number>([0]);
  const add = (id: number) => {
    for (let at: number | null = id; at !== null && !shown.has(at); at = nodeAt(nodes, at).parent) shown.add(at);
  };
  for (const id of keep) add(id);
  const byVisits = [...nodes].sort((a, b) => b.visits - a.visits || a.id - b.id);
  for (const { id } of byVisits) {
    if (shown.size >= mostNodes) break;
    add(id);
  }
  return shown;
}
