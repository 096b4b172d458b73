import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nodeAt, pathTo } from '../../src/core/search/tree.ts';
import type { SearchTree } from '../../src/core/search/types.ts';
import { drawTree } from '../../src/report/tree/draw.ts';
import { layoutTree } from '../../src/report/tree/layout.ts';
import { tracePath } from '../../src/report/tree/trace-path.ts';
import { hostile, markupOf } from './hostile.ts';
import { smallTreeEvents as events, smallTree as tree } from './page-example.ts';

const draw = (drawn: Pick<SearchTree, 'nodes'> = tree) =>
  drawTree(drawn, { id: 'tree', label: 'Use 4 9 3 to make 39', trace: tracePath({ events }) });

describe('the path of a trace', () => {
  it('goes through the nodes shown, and back from the end of each failed attempt', () => {
    expect(tracePath({ events })).toEqual({
      nodes: [0, 4, 5, 1, 2, 3],
      backtracks: [
        { number: 1, from: 5, to: 0 },
        { number: 2, from: 2, to: 1 },
      ],
    });
  });
});

describe('the drawing of a tree', () => {
  it('is as before', async () => {
    await expect(`${draw().svg}\n`).toMatchFileSnapshot('golden/tree.svg');
    expect(draw().svg).toBe(draw().svg);
  });

  it('is a tree for a keyboard and a screen reader: one focus stop, levels, and what each node is', () => {
    const { svg, nodes } = draw();
    expect(svg).toMatch(/^<svg [^>]*role="tree" aria-label="Use 4 9 3 to make 39"/);
    expect(svg.match(/role="treeitem"/g)).toHaveLength(nodes.length);
    expect(svg.match(/tabindex="0"/g)).toHaveLength(1);
    expect(svg).toContain(
      'aria-level="3" aria-selected="false" aria-label="36+3=39 is 39 Answer boxed{(9*4)+3}: 1 visit, Q',
    );
    expect(svg).toContain('ends right"');
    expect(svg.match(/✓/g)).toHaveLength(2);
    expect(svg.match(/✗/g)).toHaveLength(1);
  });

  it('numbers the backtracks of the trace', () => {
    const { svg } = draw();
    expect(svg.match(/class="backtrack"/g)).toHaveLength(2);
    expect(svg).toContain('data-from="5" data-to="0"');
    expect(drawTree(tree, { id: 'tree', label: 'x' }).svg).not.toContain('class="backtrack"');
  });

  it('holds what a model wrote as text only', () => {
    const nodes = tree.nodes.map((node) => ({ ...node, text: hostile }));
    expect(markupOf(drawTree({ nodes }, { id: 'tree', label: hostile }).svg)).toEqual([]);
  });

  it('leaves out the least visited nodes of a large tree, never the path of the trace', () => {
    const { nodes, left, svg } = drawTree(tree, { id: 't', label: 'x', trace: tracePath({ events }), mostNodes: 2 });
    expect(nodes.map(({ id }) => id).sort()).toEqual([0, 1, 2, 3, 4, 5]);
    expect(left).toBe(0);
    const cut = drawTree(tree, { id: 't', label: 'x', mostNodes: 3 });
    expect([cut.nodes.length, cut.left]).toEqual([3, tree.nodes.length - 3]);
    expect(svg).not.toBe(cut.svg);
  });
});

describe('the layout of any tree', () => {
  const margin = { top: 10, right: 10, bottom: 10, left: 10 };
  const anyTree = fc.array(fc.nat(), { maxLength: 60 }).map((parents): Pick<SearchTree, 'nodes'> => {
    const nodes = [{ ...nodeAt(tree.nodes, 0), children: [] as number[], visits: 100 }];
    for (const [i, drawn] of parents.entries()) {
      const parent = drawn % nodes.length;
      const above = nodes[parent]!;
      above.children.push(i + 1);
      nodes.push({
        ...above,
        id: i + 1,
        parent,
        depth: above.depth + 1,
        children: [],
        visits: Math.max(1, above.visits - 1),
      });
    }
    return { nodes };
  });

  it('stands inside its frame, one place for each node, children to the right of their parents', () => {
    fc.assert(
      fc.property(anyTree, fc.integer({ min: 1, max: 80 }), (any, mostNodes) => {
        const { placed, width, height, left } = layoutTree(any, { mostNodes, depthGap: 50, rowGap: 20, margin });
        const at = new Map(placed.map((one) => [one.node.id, one]));
        expect(placed.length).toBe(Math.min(any.nodes.length, mostNodes));
        expect(placed.length + left).toBe(any.nodes.length);
        expect(new Set(placed.map(({ x, y }) => `${x} ${y}`)).size).toBe(placed.length);
        for (const { node, x, y } of placed) {
          expect(x >= 10 && x <= width - 10 && y >= 10 - 1e-6 && y <= height - 10 + 1e-6).toBe(true);
          for (const id of pathTo(any, node.id)) expect(at.has(id)).toBe(true);
          if (node.parent !== null) expect(at.get(node.parent)!.x).toBeLessThan(x);
        }
      }),
    );
  });
});
