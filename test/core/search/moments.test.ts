import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bestPath, foldRounds, type NodeState, searchMoments, stateOf } from '../../../src/core/search/index.ts';
import { deepProblem, deepTask } from '../../fakes/deep-task.ts';
import { deepPolicy, runSearch } from '../../fakes/search-run.ts';
import { treeOf } from '../../fakes/tree-of.ts';

/** What a reader of the moments knows after the first `count` of them: the states, with changes laid over each other. */
function statesAfter(moments: ReturnType<typeof searchMoments>['moments'], count: number): NodeState[] {
  const states: NodeState[] = [];
  for (const { changed } of moments.slice(0, count + 1)) for (const state of changed) states[state.id] = state;
  return states;
}

const algorithm = fc.constantFrom('puct', 'uct', 'sampling');

describe('the moments of a search', () => {
  it('are the states that the search itself had, round by round, however it searched', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 8 }), algorithm, (seed, rounds, algorithm) => {
        const params = { algorithm, rounds } as const;
        const search = runSearch(deepTask, deepProblem(9, 3), deepPolicy, { seed, params });
        const { tree, moments } = searchMoments('deep-9', search.rounds, search.params);
        expect(moments).toHaveLength(search.trees.length);
        for (const [count, then] of search.trees.entries()) {
          expect(moments[count]).toMatchObject({ rounds: count, nodes: then.nodes.length, best: bestPath(then) });
          expect(statesAfter(moments, count)).toEqual(then.nodes.map(stateOf));
        }
        expect(tree.nodes).toEqual(search.tree.nodes);
      }),
      { numRuns: 40 },
    );
  });

  it('of a search that broke off are those of the rounds it had stored', () => {
    const problem = deepProblem(9, 5);
    const whole = runSearch(deepTask, problem, deepPolicy, { seed: 5 });
    const cut = whole.rounds.slice(0, 4);
    const { tree, moments } = searchMoments(problem.id, cut, whole.params);
    expect(tree).toEqual(foldRounds(problem.id, cut, whole.params));
    expect(moments.at(-1)).toMatchObject({ rounds: 4, calls: ['r3'], nodes: whole.trees[4]!.nodes.length });
  });

  it('tell only what a round changed', () => {
    const { rounds, params } = runSearch(deepTask, deepProblem(9, 5), deepPolicy, { params: { rounds: 6 } });
    const { moments } = searchMoments('deep-9', rounds, params);
    const last = moments.at(-1)!;
    expect(last.changed.length).toBeLessThan(last.nodes);
  });
});

describe('the best path', () => {
  const [first, second] = ['Step 1: add 4.\n\n', 'Step 2: add 4.\n\n'];
  const right = 'Step 3: add 1.\nThe total is \\boxed{9}.';
  const wrong = 'Step 3: add 2.\nThe total is \\boxed{10}.';

  it('leads to a right answer, if there is one', () => {
    const tree = treeOf(deepTask, deepProblem(9, 3), [
      [first, second, wrong],
      [first, second, right],
    ]);
    expect(bestPath(tree).map((id) => tree.nodes[id]!.text)).toEqual(['', first, second, right]);
  });

  it('follows the visits while none is right', () => {
    const other = 'Step 1: add 1.\n\n';
    const tree = treeOf(deepTask, deepProblem(9, 3), [
      [other, second, wrong],
      [first, second, wrong],
      [first, second, 'Step 3: add 3.\nThe total is \\boxed{11}.'],
    ]);
    expect(
      bestPath(tree)
        .slice(0, 3)
        .map((id) => tree.nodes[id]!.text),
    ).toEqual(['', first, second]);
    expect(bestPath(treeOf(deepTask, deepProblem(9, 3), []))).toEqual([0]);
  });
});
