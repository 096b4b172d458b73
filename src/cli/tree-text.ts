import { printable } from '../core/foreign-text.ts';
import { bestPath, nodeAt, treeDepth } from '../core/search/index.ts';
import type { SearchNode, SearchTree } from '../core/search/types.ts';
import { shorten } from './progress.ts';

export interface TreeTextOptions {
  /** Columns; lines are never longer. */
  width: number;
  /** Levels below the root. */
  depth?: number;
  /** Children shown of each node: those of the best path, then the most visited. */
  children?: number;
  color: boolean;
}

const defaultChildren = 6;
const codes = { best: 1, right: 32, wrong: 31, quiet: 2 };

/**
 * A tree as lines, depth first: `*` on the best path, what leads there, N, Q and prior of each node, `✓`, `✗` or `?` of
 * a finished attempt, and how many of a node's rollouts came out right.
 */
export function treeLines(tree: SearchTree, options: TreeTextOptions): string[] {
  const { depth = treeDepth(tree), children = defaultChildren, width } = options;
  const best = new Set(bestPath(tree));
  const rows: Row[] = [];

  const write = (lead: string, node: SearchNode) => {
    const isBest = best.has(node.id);
    const text = oneLine(node.parent === null ? 'root' : node.text);
    rows.push({
      text: `${isBest ? '*' : ' '} ${lead}${mark(node)}${text}`,
      facts: factsOf(node),
      code: colorOf(node, isBest),
    });
  };
  const walk = (id: number, lead: string) => {
    const node = nodeAt(tree.nodes, id);
    const shown = node.depth >= depth ? [] : chosen(tree, node, best, children);
    const hidden = node.children.length - shown.length;
    for (const [i, child] of shown.entries()) {
      const isLast = i === shown.length - 1 && hidden === 0;
      write(`${lead}${isLast ? '└─ ' : '├─ '}`, child);
      walk(child.id, `${lead}${isLast ? '   ' : '│  '}`);
    }
    if (hidden > 0) rows.push({ text: `  ${lead}└─ … ${hidden} more`, facts: null, code: codes.quiet });
  };
  write('', nodeAt(tree.nodes, 0));
  walk(0, '');
  return layOut(rows, width).map((line, i) => paint(rows[i]?.code ?? 0, line, options.color));
}

interface Row {
  text: string;
  facts: string[] | null;
  code: number;
}

/** Where a step needs the room, the numbers stand right behind it; the step's beginning is worth more than the last of them. */
const leastText = 24;

/** Texts in one column, numbers in columns behind it, all within the width. */
function layOut(rows: readonly Row[], width: number): string[] {
  const columns = Math.max(...rows.map(({ facts }) => facts?.length ?? 0));
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...rows.map(({ facts }) => facts?.[column]?.length ?? 0)),
  );
  const factsWidth = widths.reduce((sum, one) => sum + one + 2, 0);
  const longest = Math.max(...rows.map(({ text }) => text.length));
  const textWidth = Math.min(longest, Math.max(Math.min(leastText, width), width - factsWidth));
  return rows.map(({ text, facts }) => {
    if (facts === null) return shorten(text, width);
    const cells = facts.map((fact, column) => fact.padEnd(widths[column] ?? 0));
    return shorten([shorten(text, textWidth).padEnd(textWidth), ...cells].join('  ').trimEnd(), width);
  });
}

function paint(code: number, text: string, color: boolean): string {
  return color && code !== 0 ? `\u001b[${code}m${text}\u001b[0m` : text;
}

/** The best path's child first among equals, then by visits; in the order in which they were made. */
function chosen(tree: SearchTree, node: SearchNode, best: ReadonlySet<number>, most: number): SearchNode[] {
  const children = node.children.map((id) => nodeAt(tree.nodes, id));
  const ranked = [...children].sort(
    (a, b) => Number(best.has(b.id)) - Number(best.has(a.id)) || b.visits - a.visits || a.id - b.id,
  );
  const kept = new Set(ranked.slice(0, most));
  return children.filter((child) => kept.has(child));
}

function factsOf({ id, visits, value, prior, parent, rollouts }: SearchNode): string[] {
  const right = rollouts.filter(({ correct }) => correct === true).length;
  return [
    `N ${visits}`,
    `Q ${value.toFixed(2)}`,
    parent === null ? '' : `P ${prior.toFixed(2)}`,
    `#${id}`,
    rollouts.length > 0 ? `rollouts ${right}/${rollouts.length}` : '',
  ];
}

function mark({ terminal }: SearchNode): string {
  if (terminal === null) return '';
  return terminal.correct === true ? '✓ ' : terminal.correct === false ? '✗ ' : '? ';
}

function colorOf({ terminal }: SearchNode, isBest: boolean): number {
  if (terminal?.correct === true) return codes.right;
  if (terminal !== null) return codes.wrong;
  return isBest ? codes.best : 0;
}

/** Model output may hold anything; a terminal must get no control characters of it. */
export function oneLine(text: string): string {
  return printable(text).replace(/\s+/g, ' ').trim();
}
