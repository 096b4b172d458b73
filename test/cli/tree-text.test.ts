import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { treeLines } from '../../src/cli/tree-text.ts';
import { printable } from '../../src/core/foreign-text.ts';
import { deepProblem, deepTask } from '../fakes/deep-task.ts';
import { deepPolicy, runSearch } from '../fakes/search-run.ts';
import { treeOf } from '../fakes/tree-of.ts';

const plain = { width: 100, color: false };
const tree = treeOf(deepTask, deepProblem(9, 2), [
  ['Step 1: add 4.\n\n', 'Step 2: add 4.\nThe total is \\boxed{8}.'],
  ['Step 1: add 4.\n\n', 'Step 2: add 5.\nThe total is \\boxed{9}.'],
  ['Step 1: add 1.\n\n', 'Step 2: add 1.\nThe total is \\boxed{2}.'],
]);

describe('a tree as text', () => {
  it('shows each node once, below its parent, with its numbers, and marks the best path', () => {
    expect(treeLines(tree, plain)).toEqual([
      '* root                                            N 3  Q 0.33          #0',
      '* ├─ Step 1: add 4.                               N 2  Q 0.50  P 0.50  #1',
      '  │  ├─ ✗ Step 2: add 4. The total is \\boxed{8}.  N 1  Q 0.00  P 0.50  #2',
      '* │  └─ ✓ Step 2: add 5. The total is \\boxed{9}.  N 1  Q 1.00  P 0.50  #3',
      '  └─ Step 1: add 1.                               N 1  Q 0.00  P 0.50  #4',
      '     └─ ✗ Step 2: add 1. The total is \\boxed{2}.  N 1  Q 0.00  P 1.00  #5',
    ]);
  });

  it('says how much it leaves out where its depth or width is limited, and keeps the best path', () => {
    expect(treeLines(tree, { ...plain, depth: 1 }).map((line) => line.replace(/ {2}N.*/, '').trimEnd())).toEqual([
      '* root',
      '* ├─ Step 1: add 4.',
      '  │  └─ … 2 more',
      '  └─ Step 1: add 1.',
      '     └─ … 1 more',
    ]);
    const narrow = treeLines(tree, { ...plain, children: 1 }).join('\n');
    expect(narrow).toContain('✓');
    expect(narrow).toContain('└─ … 1 more');
    expect(narrow).not.toContain('✗');
  });

  it('fits any width, whatever the search made', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 140 }), (seed, width) => {
        const { tree } = runSearch(deepTask, deepProblem(9, 4), deepPolicy, { seed, params: { rounds: 4 } });
        const lines = treeLines(tree, { width, color: false, children: 99 });
        expect(lines).toHaveLength(tree.nodes.length);
        for (const line of lines) expect(line.length).toBeLessThanOrEqual(width);
      }),
      { numRuns: 20 },
    );
  });

  it('colours only where asked, and lets no escape sequence of a model through', () => {
    const evil = treeOf(deepTask, deepProblem(9, 1), [['\u001b[2J\u001b]0;owned\u0007Step\r1\u202e: add 9.']]);
    const lines = treeLines(evil, plain).join('\n');
    for (const control of ['\u001b', '\u0007', '\r', '\u202e']) expect(lines).not.toContain(control);
    expect(treeLines(tree, { ...plain, color: true }).join('')).toContain('\u001b[32m');
    expect(printable('a\tb\nc')).toBe('a\tb\nc');
  });
});
