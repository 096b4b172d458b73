import type { SearchTree } from '../../core/search/types.ts';
import { colour } from '../figures/colours.ts';
import { escapeText } from '../html/escape.ts';
import { layoutTree, type PlacedNode, type TreeLayout } from './layout.ts';
import { type NodeFacts, nodeFacts, nodeLabel, oneLine, outcomeMark } from './node-facts.ts';
import type { TracePath } from './trace-path.ts';

export interface TreeOptions {
  /** Prefix of the ids in the drawing; unique in its page. */
  id: string;
  /** What the tree is of, for people who do not see it. */
  label: string;
  /** A trace to lay over the tree. */
  trace?: TracePath | null;
  mostNodes?: number;
}

export interface TreeDrawing {
  /** SVG text: a tree of items that can be focused. The page's script moves the focus and unfolds what a node says. */
  svg: string;
  /** The nodes drawn, in the order of reading. */
  nodes: NodeFacts[];
  /** Nodes of the tree that are not drawn, the least visited. */
  left: number;
}

/** More would neither be read nor fit into the report. */
const MOST_NODES = 160;

/** Pixels that the depths share, and from one depth to the next at least and at most. */
const ROOM = 400;
const NARROWEST_GAP = 110;
const WIDEST_GAP = 200;

const RADIUS = 7;
const THICKEST = 9;
const LABEL_SIZE = 10.5;

/** The right margin holds the labels of leaves. */
const LEAF_CHARACTERS = 26;
const margin = { top: 26, right: 216, bottom: 20, left: 24 };

/**
 * A search tree from left to right: edges as wide as the visits of the node they lead to, nodes tinted by their value,
 * finished attempts marked ✓ or ✗, and a trace's path laid over it with its backtracks numbered.
 */
export function drawTree(tree: Pick<SearchTree, 'nodes'>, options: TreeOptions): TreeDrawing {
  const { id, label, trace = null, mostNodes = MOST_NODES } = options;
  const depth = Math.max(0, ...tree.nodes.map((node) => node.depth));
  const depthGap = Math.min(WIDEST_GAP, Math.max(NARROWEST_GAP, ROOM / Math.max(1, depth)));
  const layout = layoutTree(tree, { mostNodes, keep: trace?.nodes ?? [], depthGap, rowGap: 24, margin });
  const at = new Map(layout.placed.map((placed) => [placed.node.id, placed]));
  const nodes = layout.placed.map(({ node }) => nodeFacts(node));
  const hasBelow = new Set(layout.placed.map(({ node }) => node.parent));
  const { width, height } = layout;
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" id="${escapeText(id)}" class="tree-drawing" role="tree" ` +
    `aria-label="${escapeText(label)}" viewBox="0 0 ${round(width)} ${round(height)}" width="${round(width)}" height="${round(height)}" ` +
    'font-family="inherit" font-size="12" fill="currentColor">' +
    `<g aria-hidden="true">${edges(layout, at)}${trace === null ? '' : overlay(trace, at)}</g>` +
    layout.placed
      .map((placed, i) =>
        nodeMark(placed, nodes[i] as NodeFacts, {
          id,
          trace,
          isLeaf: !hasBelow.has(placed.node.id),
          characters: Math.floor((depthGap - 30) / 6.5),
        }),
      )
      .join('') +
    '</svg>';
  return { svg, nodes, left: layout.left };
}

type Places = ReadonlyMap<number, PlacedNode>;

function edges({ placed }: TreeLayout, at: Places): string {
  const most = Math.max(1, ...placed.filter(({ node }) => node.parent !== null).map(({ node }) => node.visits));
  return placed
    .map((child) => {
      const parent = child.node.parent === null ? undefined : at.get(child.node.parent);
      if (parent === undefined) return '';
      const width = Math.max(1, (child.node.visits / most) * THICKEST);
      return `<path class="edge" data-to="${child.node.id}" d="${curve(parent, child)}" fill="none" stroke="${colour('line')}" stroke-width="${round(width)}" stroke-linecap="round"/>`;
    })
    .join('');
}

function overlay({ nodes, backtracks }: TracePath, at: Places): string {
  const path = nodes.map((id) => {
    const child = at.get(id);
    const parent = child?.node.parent == null ? undefined : at.get(child.node.parent);
    if (child === undefined || parent === undefined) return '';
    return `<path class="trace" data-to="${id}" d="${curve(parent, child)}" fill="none" stroke="${colour('search')}" stroke-width="2.5"/>`;
  });
  const returns = backtracks.map(({ number, from, to }) => {
    const [start, end] = [at.get(from), at.get(to)];
    if (start === undefined || end === undefined) return '';
    const [x, y] = [start.x + 38, start.y];
    const bow = Math.min(start.y, end.y) - 18;
    return (
      `<g class="backtrack" data-from="${from}" data-to="${to}">` +
      `<path d="M${round(start.x)},${round(start.y - RADIUS)}C${round(start.x - 20)},${round(bow)} ${round(end.x + 46)},${round(bow)} ${round(end.x + 3)},${round(end.y - RADIUS - 2)}" fill="none" stroke="${colour('backtrack')}" stroke-width="1.4" stroke-dasharray="4 3"/>` +
      `<circle cx="${round(end.x + 3)}" cy="${round(end.y - RADIUS - 2)}" r="2.6" fill="${colour('backtrack')}"/>` +
      `<circle cx="${round(x)}" cy="${round(y)}" r="8.5" fill="${colour('paper')}" stroke="${colour('backtrack')}" stroke-width="1.6"/>` +
      `<text x="${round(x)}" y="${round(y)}" dy="0.35em" text-anchor="middle" font-size="11" fill="${colour('backtrack')}">${number}</text></g>`
    );
  });
  return path.join('') + returns.join('');
}

interface Marking {
  id: string;
  trace: TracePath | null;
  /** Of a step's text that fit between two depths. */
  characters: number;
  /** Nothing is drawn below it, so that its label has room on the right. */
  isLeaf: boolean;
}

function nodeMark({ node, x, y }: PlacedNode, facts: NodeFacts, { id, trace, characters, isLeaf }: Marking): string {
  const hasChildren = node.children.length > 0;
  const isRoot = node.parent === null;
  const { outcome } = facts;
  const tint = outcome === 'wrong' ? colour('wrong') : colour('value');
  const text = oneLine(titleOf(node.text), isLeaf ? LEAF_CHARACTERS : characters);
  const isNumbered = trace?.backtracks.some(({ from }) => from === node.id) ?? false;
  const place = isLeaf
    ? `x="${isNumbered ? 54 : outcome === null ? 14 : 28}" dy="0.35em"`
    : 'x="-11" y="-5" text-anchor="end"';
  const onTrace = trace?.nodes.includes(node.id) ?? false;
  return (
    `<g class="node" id="${escapeText(id)}-${node.id}" role="treeitem" tabindex="${isRoot ? 0 : -1}" data-node="${node.id}"` +
    `${isRoot ? '' : ` data-parent="${node.parent}"`} aria-level="${node.depth + 1}" aria-selected="false"` +
    `${hasChildren ? ' aria-expanded="true"' : ''} aria-label="${escapeText(nodeLabel(facts))}" transform="translate(${round(x)},${round(y)})">` +
    `<rect class="hit" x="-12" y="-12" width="24" height="24" fill="transparent"/>` +
    `<circle r="${RADIUS}" fill="${colour('paper')}"/>` +
    `<circle r="${RADIUS}" fill="${tint}" fill-opacity="${round(outcome === 'wrong' ? 0.25 : facts.value)}" stroke="${onTrace ? colour('search') : colour('quiet')}" stroke-width="${onTrace ? 2.5 : 1.2}"/>` +
    (text === ''
      ? ''
      : `<text class="step" ${place} font-size="${LABEL_SIZE}" fill="${colour('quiet')}" stroke="${colour('paper')}" stroke-width="3" paint-order="stroke">${escapeText(text)}</text>`) +
    (outcome === null
      ? ''
      : `<text x="13" dy="0.35em" font-weight="bold" fill="${outcome === 'right' ? colour('right') : tint}">${outcomeMark(outcome)}</text>`) +
    `<text class="folded" x="12" dy="0.3em" font-size="13" font-weight="bold" display="none">+</text></g>`
  );
}

/** A step's first line; the number of a step that is written as a heading says no more than its depth does. */
function titleOf(step: string): string {
  const line = step.trimStart().split('\n', 1)[0] ?? '';
  return line.replace(/^#+ *(Step \d+ *[:.]? *)?/i, '');
}

function curve(from: PlacedNode, to: PlacedNode): string {
  const middle = round((from.x + to.x) / 2);
  return `M${round(from.x)},${round(from.y)}C${middle},${round(from.y)} ${middle},${round(to.y)} ${round(to.x)},${round(to.y)}`;
}

const round = (value: number): number => Math.round(value * 10) / 10;
