import { fixedCell } from '../figures/numbers.ts';
import { drawTree } from '../tree/draw.ts';
import { type NodeFacts, oneLine, outcomeMark } from '../tree/node-facts.ts';
import { tracePath } from '../tree/trace-path.ts';
import { type Html, html, trusted } from './escape.ts';
import { numberTable } from './figure-block.ts';
import { movesBlock } from './moves-block.ts';
import type { TreeExample } from './report-data.ts';

/** Characters of a step that a reader of a node gets. */
const MOST_STEP = 600;

/** Search trees with what each node says, and the training text that was read from them. */
export function treesSection(trees: readonly TreeExample[], write: (text: string) => Html): Html | null {
  if (trees.length === 0) return null;
  return html`<section id="trees"><h2>The search trees</h2>
<p>Edges are as wide as the visits (N) of the node they lead to; a node is filled by its value (Q), empty at 0 and full at 1. ✓ and ✗ end finished attempts. The blue path is the training text that was read from the tree, with a number at each attempt that it goes back from. Click a node, or move with the arrow keys; Enter, or a second click, folds what is below it.</p>
${trees.map((tree, i) => treeBlock(tree, `tree-${i + 1}`, write))}
</section>
`;
}

function treeBlock({ why, problem, tree, row }: TreeExample, id: string, write: (text: string) => Html): Html {
  const label = `Search tree of: ${oneLine(problem, 120)}`;
  const { svg, nodes, left } = drawTree(tree, {
    id: `${id}-drawing`,
    label,
    trace: row === null ? null : tracePath(row.plan),
  });
  const facts = nodes.map((node) => ({ ...node, text: node.text.slice(0, MOST_STEP) }));
  return html`<figure class="figure tree" id="${id}">
<h3>${why}</h3>
<p class="problem">${write(problem)}</p>
<div class="scroll drawing" role="region" aria-label="${label}" tabindex="-1">${trusted(svg)}</div>
<div class="node-panel" aria-live="polite"><p class="note">No node is chosen.</p></div>
<figcaption>${tree.nodes.length} nodes${left > 0 && ` (the ${left} least visited are not drawn)`}. N is the visits of a node, Q its value in [0, 1], the prior the policy's share among its siblings, R the mean verdict of its rollouts.</figcaption>
${numberTable(`Nodes: ${label}`, nodeTable(nodes))}
${row !== null && html`<details class="numbers"><summary>The training text that was read from it</summary>${movesBlock(row.moves, write)}</details>`}
<script type="application/json" class="tree-data">${trusted(jsonForScript(facts))}</script>
</figure>
`;
}

function nodeTable(nodes: readonly NodeFacts[]) {
  return {
    head: ['node', 'from', 'step', 'N', 'Q', 'prior', 'R', 'right of rollouts', 'ends'],
    rows: nodes.map((node) => [
      String(node.id),
      node.parent === null ? '' : String(node.parent),
      node.parent === null ? 'start' : oneLine(node.text, 60),
      fixedCell(node.visits, 0),
      fixedCell(node.value, 2),
      fixedCell(node.prior, 2),
      fixedCell(node.reward, 2),
      `${node.rolloutsRight} of ${node.rollouts}`,
      outcomeMark(node.outcome),
    ]),
  };
}

/** JSON that no text in it can end: a script element ends at `</script`, and `<!--` would change how it is read. */
export function jsonForScript(value: unknown): string {
  return JSON.stringify(value)
    .replaceAll('<', '\\u003c')
    .replaceAll('>', '\\u003e')
    .replaceAll('&', '\\u0026')
    .replaceAll('\u2028', '\\u2028')
    .replaceAll('\u2029', '\\u2029');
}
