import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  applyRound,
  askExpand,
  foldRounds,
  isFinished,
  mergeSteps,
  puctScore,
  selectLeaves,
  uctScore,
} from '../../../src/core/search/index.ts';
import { createTree, stepsTo, terminals, tokensTo, treeDepth } from '../../../src/core/search/tree.ts';
import type { NewChild, SearchParams, SearchRound, SearchTree } from '../../../src/core/search/types.ts';
import { countdown } from '../../../src/core/tasks/countdown.ts';
import { countdownProblem } from '../../../src/core/tasks/countdown-problems.ts';
import { getTask } from '../../../src/core/tasks/index.ts';
import { noUsage } from '../../../src/core/usage.ts';
import { deepProblem, deepTask } from '../../fakes/deep-task.ts';
import { countdownPolicy, deepPolicy, runSearch, searchParams } from '../../fakes/search-run.ts';

const deep = (seed: number, params: Partial<SearchParams> = {}) =>
  runSearch(deepTask, deepProblem(18), deepPolicy, { seed, params });
const numbers = (seed: number, params: Partial<SearchParams> = {}) =>
  runSearch(countdown, countdownProblem([4, 9, 3], 39), countdownPolicy, { seed, params });

const algorithm = fc.constantFrom('puct', 'uct', 'sampling') satisfies fc.Arbitrary<SearchParams['algorithm']>;

function child(text: string, right: number, of: number): NewChild {
  const rollouts = Array.from({ length: of }, (_, i) => ({ text: '', correct: i < right, tokens: 1 }));
  return { text, tokens: [], meanLogprob: 0, multiplicity: 1, terminal: null, rollouts };
}

function leaf(text: string, correct: boolean): NewChild {
  return { ...child(text, 0, 0), terminal: { correct, answer: text, answerClass: text, sound: true } };
}

function round(number: number, expansions: SearchRound['expansions'], revisits: number[] = []): SearchRound {
  return { schema: 'astroflow.search-round/1', round: number, expansions, revisits, calls: [], usage: noUsage };
}

/** Root; A (1/4) and B (3/4) below it; below B a right terminal C and D (0/4). */
const handRounds = [
  round(0, [{ node: 0, children: [child('A', 1, 4), child('B', 3, 4)] }]),
  round(1, [{ node: 2, children: [leaf('C', true), child('D', 0, 4)] }]),
];

describe('the backup', () => {
  it('matches a tree computed by hand', () => {
    const tree = foldRounds('p', handRounds, searchParams);
    const [root, a, b, c, d] = tree.nodes;
    expect(a).toMatchObject({ visits: 1, value: 0.25, reward: 0.25 });
    expect(c).toMatchObject({ visits: 1, value: 1, reward: 1 });
    expect(d).toMatchObject({ visits: 1, value: 0 });
    // (1 * 1 + 0 * 1 + 0.75) / (2 + 1)
    expect(b).toMatchObject({ visits: 3, reward: 0.75 });
    expect(b?.value).toBeCloseTo(1.75 / 3, 12);
    // No score of its own: (0.25 * 1 + 0.5833 * 3) / 4
    expect(root?.visits).toBe(4);
    expect(root?.value).toBeCloseTo(2 / 4, 12);
  });

  it('counts a visit when selection comes to a terminal again, and weighs its score by it', () => {
    const again = applyRound(foldRounds('p', handRounds, searchParams), round(2, [], [3, 3]), searchParams);
    const [root, , b, c] = again.nodes;
    expect(c).toMatchObject({ visits: 3, value: 1 });
    // (1 * 3 + 0 * 1 + 0.75) / (4 + 1)
    expect(b?.visits).toBe(5);
    expect(b?.value).toBeCloseTo(3.75 / 5, 12);
    expect(root?.visits).toBe(6);
    expect(root?.value).toBeCloseTo((0.25 + 5 * 0.75) / 6, 12);
  });

  it('keeps 0 <= Q <= 1 and N(S) >= the sum of outgoing N, in every tree of every search', () => {
    fc.assert(
      fc.property(fc.integer(), algorithm, fc.boolean(), (seed, which, isDeep) => {
        const params = { algorithm: which, rounds: 8, rolloutsPerChild: seed % 3 === 0 ? 0 : 3 };
        for (const tree of (isDeep ? deep(seed, params) : numbers(seed, params)).trees) expectSoundTree(tree);
      }),
      { numRuns: 20 },
    );
  });
});

describe('folding rounds', () => {
  it('gives the tree that applying them one by one gave', () => {
    fc.assert(
      fc.property(fc.integer(), algorithm, (seed, which) => {
        const { tree, rounds, params } = deep(seed, { algorithm: which });
        expect(foldRounds(tree.problemId, rounds, params)).toEqual(tree);
      }),
      { numRuns: 15 },
    );
  });

  it('leaves earlier trees as they were, and adds up usage', () => {
    const { trees, tree } = deep(1);
    expect(trees[0]).toEqual(createTree('deep-18'));
    expect(trees[1]?.nodes.length).toBeLessThan(tree.nodes.length);
    expect(tree.usage).toEqual({
      calls: 2 * tree.rounds,
      promptTokens: 10 * tree.rounds,
      completionTokens: 20 * tree.rounds,
    });
  });

  it('refuses a round that is not the next one, and a node that is not there', () => {
    expect(() => applyRound(createTree('p'), round(1, []), searchParams)).toThrow('in order');
    expect(() =>
      applyRound(createTree('p'), round(0, [{ node: 5, children: [leaf('x', true)] }]), searchParams),
    ).toThrow('no node 5');
  });
});

describe('selection', () => {
  it('scores edges by PUCT and by UCT', () => {
    const edge = { value: 0.5, prior: 0.25, visits: 3, parentVisits: 16 };
    expect(puctScore(edge, 2)).toBeCloseTo(0.5 + (2 * 0.25 * 4) / 4, 12);
    expect(uctScore(edge, 2)).toBeCloseTo(0.5 + 2 * Math.sqrt(Math.log(16) / 3), 12);
  });

  it('goes down the best edges to a leaf', () => {
    const tree = foldRounds('p', handRounds.slice(0, 1), searchParams);
    expect(selectLeaves(tree, { ...searchParams, leavesPerRound: 1 }, puctScore)).toEqual({
      leaves: [2],
      revisits: [],
    });
  });

  it('counts a terminal on the way and goes on to a leaf that can be expanded', () => {
    const tree = foldRounds('p', handRounds, searchParams);
    expect(selectLeaves(tree, { ...searchParams, leavesPerRound: 1 }, puctScore)).toEqual({
      leaves: [1],
      revisits: [3],
    });
  });

  it('is deterministic, and parallel leaves differ and can be expanded', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 9 }), algorithm, (seed, leavesPerRound, which) => {
        const { trees, params } = deep(seed, { leavesPerRound, rounds: 5, algorithm: which });
        for (const tree of trees) {
          const asks = askExpand(tree, params, deepTask, deepProblem(18));
          expect(asks).toEqual(askExpand(structuredClone(tree), params, deepTask, deepProblem(18)));
          expect(new Set(asks.map((ask) => ask.node)).size).toBe(asks.length);
          expect(asks.length).toBeLessThanOrEqual(leavesPerRound);
          if (which === 'sampling') continue;
          for (const ask of asks) {
            expect(tree.nodes[ask.node]).toMatchObject({ terminal: null, children: [] });
            expect(ask.steps).toEqual(stepsTo(tree, ask.node));
            expect(ask.tokens).toEqual(tokensTo(tree, ask.node));
          }
        }
      }),
      { numRuns: 15 },
    );
  });

  it('spreads over branches by virtual loss', () => {
    const tree = foldRounds(
      'p',
      [
        round(0, [{ node: 0, children: [child('A', 2, 4), child('B', 2, 4)] }]),
        round(1, [
          { node: 1, children: [child('A1', 2, 4), child('A2', 2, 4)] },
          { node: 2, children: [child('B1', 2, 4), child('B2', 2, 4)] },
        ]),
      ],
      searchParams,
    );
    const { leaves } = selectLeaves(tree, searchParams, puctScore);
    expect(leaves.map((id) => tree.nodes[id]?.parent)).toEqual([1, 2]);
  });

  it('follows the prior where values are equal', () => {
    const children = [child('A', 1, 2), { ...child('B', 1, 2), meanLogprob: -0.1 }, child('C', 1, 2)].map((c, i) => ({
      ...c,
      meanLogprob: [-2, -0.1, -1][i] as number,
    }));
    const tree = foldRounds('p', [round(0, [{ node: 0, children }])], searchParams);
    expect(tree.nodes.slice(1).reduce((sum, node) => sum + node.prior, 0)).toBeCloseTo(1, 12);
    expect(selectLeaves(tree, { ...searchParams, leavesPerRound: 1 }, puctScore).leaves).toEqual([2]);
  });

  it('asks for nothing and ends when all is terminal or at the depth limit', () => {
    const tree = foldRounds(
      'p',
      [round(0, [{ node: 0, children: [leaf('A', true), child('B', 1, 2)] }])],
      searchParams,
    );
    const params = { ...searchParams, maxDepth: 1 };
    expect(selectLeaves(tree, params, puctScore)).toEqual({ leaves: [], revisits: [] });
    expect(isFinished(tree, params)).toBe(true);
    expect(isFinished(tree, searchParams)).toBe(false);
    expect(treeDepth(deep(3, { maxDepth: 2 }).tree)).toBe(2);
  });
});

describe('a round', () => {
  const problem = countdownProblem([4, 9, 3], 39);
  const task = getTask({ name: 'countdown' });

  it('expands the root first and stops steps where the task says', () => {
    expect(askExpand(createTree('p'), searchParams, task, problem)).toEqual([
      { node: 0, steps: [], tokens: [], stops: ['\n'], count: 4 },
    ]);
  });

  it('merges equal texts and grades finished attempts', () => {
    const first = '9*4=36 left 3 36 to make 39\n';
    const ask = { node: 1, steps: [first], tokens: [1], stops: [], count: 3 };
    const right = '36+3=39 is 39\nAnswer boxed{(9*4)+3}';
    const children = mergeSteps(searchParams, task, problem, ask, [
      { text: right, tokens: [2], logprobs: [-1, -3] },
      { text: '36-3=33 is not 39\nAnswer boxed{(9*4)-3}', tokens: [3] },
      { text: right, tokens: [4], logprobs: [-9] },
    ]);
    expect(children).toMatchObject([
      { text: right, tokens: [2], meanLogprob: -2, multiplicity: 2, terminal: { correct: true, sound: true } },
      { meanLogprob: 0, multiplicity: 1, terminal: { correct: false, answerClass: '33', sound: true } },
    ]);
  });

  it('gives every child that is not terminal its rollouts', () => {
    for (const node of deep(5).tree.nodes.slice(1)) {
      expect(node.rollouts).toHaveLength(node.terminal === null ? searchParams.rolloutsPerChild : 0);
      expect(node.terminal === null).toBe(node.depth < 6);
    }
  });

  it('stops early with enough different sound answers of both kinds', () => {
    const { tree } = numbers(2, { rounds: 50, enough: { correct: 1, wrong: 2 } });
    expect(tree.rounds).toBeLessThan(50);
    const sound = terminals(tree).filter((node) => node.terminal?.sound);
    expect(sound.some((node) => node.terminal?.correct === true)).toBe(true);
    const wrong = sound.filter((node) => node.terminal?.correct === false);
    expect(new Set(wrong.map((node) => node.terminal?.answerClass)).size).toBeGreaterThanOrEqual(2);
  });

  it('reaches the end of deep solutions', () => {
    expect(terminals(deep(7, { rounds: 30 }).tree).length).toBeGreaterThan(5);
  });
});

describe('plain sampling', () => {
  it('asks for as many whole solutions as a tree round completes', () => {
    const params = { ...searchParams, algorithm: 'sampling' as const };
    expect(askExpand(createTree('p'), params, deepTask, deepProblem(18))).toEqual([
      { node: 0, steps: [], tokens: [], stops: [], count: 2 * 4 * 3 },
    ]);
  });

  it('turns solutions into chains that share first steps, with Q the mean verdict', () => {
    const { tree } = numbers(4, { algorithm: 'sampling', rounds: 3 });
    const samples = 3 * 2 * 4 * 3;
    const ends = terminals(tree);
    expect(ends.every((node) => node.depth === 2)).toBe(true);
    expect(ends.reduce((sum, node) => sum + node.visits, 0)).toBe(samples);
    expect(tree.nodes[0]?.visits).toBe(samples);
    const right = ends.filter((node) => node.terminal?.correct === true).reduce((sum, node) => sum + node.visits, 0);
    // A terminal's own score is one more observation of itself, never of its parents.
    expect(tree.nodes[0]?.value).toBeCloseTo(right / samples, 12);
    expect(tree.nodes.length).toBeLessThan(1 + 2 * ends.length);
    for (const node of ends) expect(tokensTo(tree, node.id)).toEqual(node.tokens);
  });
});

function expectSoundTree(tree: SearchTree): void {
  for (const [index, node] of tree.nodes.entries()) {
    expect(node.id).toBe(index);
    expect(node.parent === null ? -1 : node.parent).toBeLessThan(index);
    expect(node.value).toBeGreaterThanOrEqual(0);
    expect(node.value).toBeLessThanOrEqual(1);
    const children = node.children.map((id) => tree.nodes[id]);
    expect(children.every((c) => c?.parent === index && c.depth === node.depth + 1)).toBe(true);
    expect(new Set(children.map((c) => c?.text)).size).toBe(children.length);
    expect(children.reduce((sum, c) => sum + (c?.visits ?? 0), 0)).toBeLessThanOrEqual(node.visits);
    if (children.length > 0) expect(children.reduce((sum, c) => sum + (c?.prior ?? 0), 0)).toBeCloseTo(1, 9);
  }
}
