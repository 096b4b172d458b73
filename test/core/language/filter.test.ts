import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { narrationFlaw } from '../../../src/core/language/filter.ts';
import type { TraceSource } from '../../../src/core/language/narration.ts';
import { linearize } from '../../../src/core/linearize.ts';
import { deepProblem, deepTask } from '../../fakes/deep-task.ts';
import { phrases, riddleTask, source, writtenAs } from '../../fakes/failing-twice.ts';
import { deepPolicy, runSearch } from '../../fakes/search-run.ts';

/** The plan's text with these events written otherwise, by position. */
const flawOf = (changes: Record<number, string>, of: TraceSource = source) =>
  narrationFlaw(
    writtenAs(of, (_event, template, index) => changes[index] ?? template),
    of,
    phrases,
  );

describe('the filter after rewriting', () => {
  it('passes what the templates write, for any plan', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 0, max: 4 }), (seed, backtracks) => {
        for (const task of [deepTask, riddleTask]) {
          const problem = deepProblem(18);
          const { tree } = runSearch(task, problem, deepPolicy, { seed, params: { rounds: 16 } });
          const plan = linearize(tree, task, problem, { backtracks, seed, highValue: 0.5 });
          if (!('invalid' in plan)) expect(flawOf({}, { plan, tree, task, problem })).toBeNull();
        }
      }),
      { numRuns: 25 },
    );
  });

  it('passes other words around the same mathematics', () => {
    const words = fc.array(fc.constantFrom('so', 'let us see', 'hence', 'and then, as we said,'), { minLength: 1 });
    fc.assert(
      fc.property(words, (prefix) => {
        const reworded = writtenAs(source, ({ kind }, template) =>
          kind === 'step' || kind === 'answer' ? `${prefix.join(' ')} ${template}` : template,
        );
        expect(narrationFlaw(reworded, source, phrases)).toBeNull();
      }),
    );
  });

  it.each<[reason: string, what: string, rejected: Record<number, string>, repaired: Record<number, string>]>([
    [
      'the final answer is not right',
      'another number in the last box',
      { 9: 'So add 4, which makes \\boxed{8}.' },
      { 9: 'So add 4, which makes \\boxed{9}.' },
    ],
    ['the final answer is not right', 'no box at the end', { 9: 'That makes 9.' }, { 9: 'That makes \\boxed{9}.' }],
    [
      'an answer is boxed before the last',
      'a failed attempt in a box',
      { 2: 'Add 1: it is \\boxed{16}.\n\n' },
      { 2: 'Add 1: it is 16.\n\n' },
    ],
    [
      'an answer is boxed before the last',
      'a step in another kind of box',
      { 1: 'Add 8: \\fbox 15.\n\n' },
      { 1: 'Add 8: 15.\n\n' },
    ],
    [
      'goes back more or less often than planned',
      'a step with the negative verdict',
      { 1: `Add 8. ${phrases.negative}\n\n` },
      { 1: 'Add 8. I am not sure.\n\n' },
    ],
    [
      'goes back more or less often than planned',
      'a step that goes back by itself',
      { 1: `Add 8. ${phrases.backtrackOpening} began.\n\n` },
      { 1: 'Add 8. We could go back to where we began.\n\n' },
    ],
    [
      'goes back more or less often than planned',
      'a restart without its verdict',
      { 3: `${phrases.restartOpening}.\n\n` },
      { 3: phrases.goBack(`${phrases.restartOpening}.`) },
    ],
    [
      'reflects more or less often than planned',
      'a step with the positive verdict',
      { 6: `Add 3. ${phrases.positive}\n\n` },
      { 6: 'Add 3. That seems right.\n\n' },
    ],
    ['reflects more or less often than planned', 'a planned reflection left out', { 5: '' }, {}],
    ['a wrong answer was lost', 'the first attempt ends otherwise', { 2: 'Add 1: 17.\n\n' }, { 2: 'Add 1: 16.\n\n' }],
    [
      'a wrong answer was lost',
      'the answer stands in another attempt only',
      { 2: 'Add 1.\n\n', 7: 'Add 5. It is 10, not 16.\n\n' },
      { 2: 'Add 1, so 16.\n\n', 7: 'Add 5. It is 10, not 16.\n\n' },
    ],
    ['a wrong answer was lost', 'part of a longer number', { 7: 'Add 5: 110.\n\n' }, { 7: 'Add 5: 10.\n\n' }],
    [
      'the right answer was given away',
      'a failed attempt that knows better',
      { 7: 'Add 5: 10, though it should be 9.\n\n' },
      { 7: 'Add 5: 10, though it should be less.\n\n' },
    ],
    [
      'the right answer was given away',
      'a sentence of return that knows better',
      { 8: phrases.goBack(`${phrases.backtrackOpening} had 5, to reach 9.`) },
      { 8: phrases.goBack(`${phrases.backtrackOpening} had 5, to reach more.`) },
    ],
  ])('rejects a text: %s (%s), and passes it repaired', (reason, _what, rejected, repaired) => {
    expect(flawOf(rejected)).toBe(`narration: ${reason}`);
    expect(flawOf(repaired)).toBeNull();
  });

  it('takes no answer for a leak that the problem or the original steps state', () => {
    const leak = { 7: 'Add 5: 10, though it should be 9.\n\n' };
    const known = { ...source, task: { ...riddleTask, statement: () => 'Which digits make 9?' } };
    expect(flawOf(leak, known)).toBeNull();
    const nodes = source.tree.nodes.map((node) =>
      node.id === 6 ? { ...node, text: 'Step 2: add 8, or perhaps 9.\n\n' } : node,
    );
    expect(flawOf(leak, { ...source, tree: { ...source.tree, nodes } })).toBeNull();
  });

  it('lets the last branch state the right answer as often as it likes', () => {
    expect(flawOf({ 9: 'Add 4 for 9. Yes, 9: \\boxed{9}.' })).toBeNull();
  });
});
