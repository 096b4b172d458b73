import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { judgedSolutions, linearize, planRows, type TracePlan } from '../../src/core/linearize.ts';
import { lowestCommonAncestor, nodeAt, pathTo } from '../../src/core/search/tree.ts';
import type { SearchTree } from '../../src/core/search/types.ts';
import type { Task } from '../../src/core/task.ts';
import { countdown } from '../../src/core/tasks/countdown.ts';
import { countdownProblem } from '../../src/core/tasks/countdown-problems.ts';
import { renderTrace } from '../../src/core/trace.ts';
import { deepProblem, deepTask } from '../fakes/deep-task.ts';
import { countdownPolicy, deepPolicy, runSearch } from '../fakes/search-run.ts';
import { treeOf } from '../fakes/tree-of.ts';

const seed = fc.integer();

/** A random tree of the deep text task or of Countdown. */
const cases = fc
  .record({ seed, isDeep: fc.boolean(), isSampled: fc.boolean() })
  .map(({ seed, isDeep, isSampled }): Case => {
    const params = { algorithm: isSampled ? 'sampling' : 'puct', rounds: isDeep ? 16 : 6 } as const;
    const deep = deepProblem(18);
    const numbers = countdownProblem([4, 9, 3], 39);
    return isDeep
      ? { task: deepTask, problem: deep, tree: runSearch(deepTask, deep, deepPolicy, { seed, params }).tree }
      : {
          task: countdown,
          problem: numbers,
          tree: runSearch(countdown, numbers, countdownPolicy, { seed, params }).tree,
        };
  });

describe('linearisation (ASTRO Algorithm 1)', () => {
  it('starts at the root, ends in a sound right answer, and repeats no node and no wrong answer', () => {
    forAllPlans((plan, { tree, task, problem }) => {
      expect(plan.nodes[0]).toBe(0);
      expect(nodeAt(tree.nodes, plan.nodes.at(-1) as number).terminal).toMatchObject({ correct: true, sound: true });
      expect(new Set(plan.nodes).size).toBe(plan.nodes.length);
      const ends = plan.nodes.map((id) => nodeAt(tree.nodes, id).terminal).filter((terminal) => terminal !== null);
      expect(ends.every((terminal) => terminal.sound)).toBe(true);
      expect(ends.filter((terminal) => terminal.correct === true)).toHaveLength(1);
      const classes = ends.map((terminal) => task.answerClass(problem, terminal.answer ?? ''));
      expect(new Set(classes).size).toBe(classes.length);
      expect(plan.answers.map((answer) => answer.answerClass)).toEqual(classes);
    });
  });

  it('goes on to a child, or from a failed end to a child of the lowest common ancestor', () => {
    forAllPlans((plan, { tree }) => {
      const returns = plan.events.filter((event) => event.kind === 'backtrack' || event.kind === 'restart');
      for (const [i, id] of plan.nodes.entries()) {
        const previous = plan.nodes[i - 1];
        const { parent } = nodeAt(tree.nodes, id);
        if (previous === undefined || parent === previous) continue;
        expect(nodeAt(tree.nodes, previous).terminal).not.toBeNull();
        expect(pathTo(tree, previous).slice(0, -1)).toContain(parent);
        expect(parent).toBe(lowestCommonAncestor(tree, previous, id));
        expect(returns.shift()).toEqual(parent === 0 ? { kind: 'restart' } : { kind: 'backtrack', to: parent });
      }
      expect(returns).toEqual([]);
    });
  });

  it('plans as many returns as there are failed attempts, at most k', () => {
    forAllPlans((plan) => {
      const returns = plan.events.filter((event) => event.kind === 'backtrack' || event.kind === 'restart');
      expect(returns).toHaveLength(plan.backtracks);
      expect(plan.answers).toHaveLength(plan.backtracks + 1);
      expect(plan.backtracks).toBeLessThanOrEqual(plan.requested);
    });
  });

  it('is a function of its seed, and reaches different traces with different seeds', () => {
    const { tree } = runSearch(deepTask, deepProblem(18), deepPolicy, { seed: 1, params: { rounds: 20 } });
    const plan = (seed: number) =>
      JSON.stringify(linearize(tree, deepTask, deepProblem(18), { backtracks: 2, seed, highValue: null }));
    expect(plan(1)).toBe(plan(1));
    expect(new Set([1, 2, 3, 4, 5, 6, 7, 8].map(plan)).size).toBeGreaterThan(3);
  });
});

describe('a trace', () => {
  it('holds the marker once for every planned backtrack, none when direct, and verifies as right', () => {
    forAllPlans((plan, { tree, task, problem }) => {
      const { text, moves } = renderTrace(plan, tree, task, problem);
      expect(text.split(task.phrases.backtrackMarker).length - 1).toBe(plan.backtracks);
      expect(task.verify(problem, text).correct).toBe(true);
      expect(moves.map((move) => text.slice(move.start, move.end)).join('')).toBe(text);
      expect(moves.map((move) => move.kind)).toEqual(plan.events.map((event) => event.kind));
    });
  });

  it('is the sampled solution itself when direct and without reflections', () => {
    fc.assert(
      fc.property(cases, seed, ({ tree, task, problem }, seed) => {
        const plan = linearize(tree, task, problem, { backtracks: 0, seed, highValue: null });
        if ('invalid' in plan) return;
        const steps = plan.nodes.map((id) => nodeAt(tree.nodes, id).text);
        expect(renderTrace(plan, tree, task, problem).text).toBe(steps.join(''));
        expect(task.isSound(problem, steps.slice(1))).toBe(true);
      }),
      { numRuns: 20 },
    );
  });

  it('reflects positively after steps of high value only, and once after the answer', () => {
    let reflections = 0;
    forAllPlans((plan, { tree }) => {
      for (const [i, event] of plan.events.entries()) {
        if (event.kind === 'reflectPositive') {
          reflections += 1;
          expect(nodeAt(tree.nodes, event.node)).toMatchObject({ terminal: null });
          expect(nodeAt(tree.nodes, event.node).value).toBeGreaterThanOrEqual(0.3);
          expect(plan.events[i - 1]).toEqual({ kind: 'step', node: event.node });
        }
        if (event.kind === 'reflectAnswer') expect(i).toBe(plan.events.length - 1);
      }
    }, 0.3);
    expect(reflections).toBeGreaterThan(0);
  });
});

describe('a judge', () => {
  const options = { mix: [0, 1], seed: 3 };

  it('is shown right and sound solutions, each once, and at most as many as asked for', () => {
    fc.assert(
      fc.property(cases, fc.integer({ min: 1, max: 5 }), ({ tree, task, problem }, most) => {
        const nodes = judgedSolutions(tree, task, problem, { ...options, most });
        expect(nodes.length).toBeLessThanOrEqual(most);
        expect(new Set(nodes).size).toBe(nodes.length);
        for (const node of nodes)
          expect(nodeAt(tree.nodes, node).terminal).toMatchObject({ correct: true, sound: true });
        expect(judgedSolutions(tree, task, problem, { ...options, most: 1000 })).toEqual(expect.arrayContaining(nodes));
      }),
      { numRuns: 20 },
    );
  });

  it('decides which of them end traces; a tree without one is invalid', () => {
    let judged = 0;
    fc.assert(
      fc.property(cases, seed, ({ tree, task, problem }, seed) => {
        const rows = { ...options, rowsPerTree: { search: 3, direct: 1 }, seed, highValue: null };
        const [star] = judgedSolutions(tree, task, problem, { ...options, most: 1 });
        if (star === undefined) return;
        judged += 1;
        const planned = planRows(tree, task, problem, { ...rows, approved: new Set([star]) });
        if ('invalid' in planned) throw new Error(planned.invalid);
        expect(planned.rows.every(({ plan }) => plan.nodes.at(-1) === star)).toBe(true);
        const refused = { invalid: 'no approved correct answer' };
        expect(planRows(tree, task, problem, { ...rows, approved: new Set() })).toEqual(refused);
      }),
      { numRuns: 20 },
    );
    expect(judged).toBeGreaterThan(0);
  });

  it('is shown nothing of a tree that gives no trace anyway', () => {
    const problem = deepProblem(9, 2);
    const tree = treeOf(deepTask, problem, [['Step 1: add 4.\n\n', 'Step 2: add 5.\nThe total is \\boxed{9}.']]);
    expect(judgedSolutions(tree, deepTask, problem, { mix: [1], seed: 1, most: 4 })).toEqual([]);
    expect(judgedSolutions(tree, deepTask, problem, { mix: [0], seed: 1, most: 4 })).toEqual([2]);
  });
});

describe('the rows of a tree', () => {
  const problem = deepProblem(18);
  const task: Task = deepTask;
  const options = { rowsPerTree: { search: 3, direct: 1 }, mix: [1, 2, 3], seed: 5, highValue: null };

  it('are for both arms, from the same trees, without duplicates', () => {
    let rows = 0;
    fc.assert(
      fc.property(cases, seed, ({ tree, task, problem }, seed) => {
        const planned = planRows(tree, task, problem, { ...options, seed });
        if ('invalid' in planned) return;
        rows += planned.rows.length;
        const search = planned.rows.filter((row) => row.arm === 'search');
        const direct = planned.rows.filter((row) => row.arm === 'direct');
        expect(direct).toHaveLength(1);
        expect(search.length).toBeGreaterThanOrEqual(1);
        expect(search.length).toBeLessThanOrEqual(3);
        expect(direct.every(({ plan }) => plan.backtracks === 0)).toBe(true);
        expect(search.every(({ plan }) => plan.backtracks >= 1)).toBe(true);
        expect(new Set(search.map(({ plan }) => plan.nodes.join())).size).toBe(search.length);
      }),
      { numRuns: 20 },
    );
    expect(rows).toBeGreaterThan(0);
  });

  it('are none when the tree has no right, no sound, or no wrong answer, and say which', () => {
    const { tree } = runSearch(deepTask, problem, deepPolicy, { seed: 1, params: { rounds: 20 } });
    const only = (keep: (terminal: NonNullable<SearchTree['nodes'][number]['terminal']>) => boolean): SearchTree => ({
      ...tree,
      nodes: tree.nodes.map((node) =>
        node.terminal !== null && !keep(node.terminal) ? { ...node, terminal: null } : node,
      ),
    });
    expect(planRows(tree, task, problem, options)).toHaveProperty('rows');
    expect(
      planRows(
        only((t) => t.correct === false),
        task,
        problem,
        options,
      ),
    ).toEqual({ invalid: 'no correct answer' });
    expect(
      planRows(
        only((t) => t.correct === true),
        task,
        problem,
        options,
      ),
    ).toEqual({ invalid: 'no sound wrong answer' });
    const unsound = only((t) => t.correct === true || t.sound);
    for (const node of unsound.nodes)
      if (node.terminal?.correct === true) node.terminal = { ...node.terminal, sound: false };
    expect(planRows(unsound, task, problem, options)).toEqual({ invalid: 'no sound correct answer' });
  });

  it('record fewer backtracks than asked for where wrong answers run out', () => {
    const { tree } = runSearch(deepTask, problem, deepPolicy, { seed: 1, params: { rounds: 20 } });
    const plan = linearize(tree, task, problem, { backtracks: 50, seed: 1, highValue: null });
    expect(plan).toMatchObject({ requested: 50 });
    expect((plan as TracePlan).backtracks).toBeLessThan(50);
    expect((plan as TracePlan).backtracks).toBeGreaterThan(2);
  });
});

interface Case {
  task: Task;
  problem: Parameters<Task['family']>[0];
  tree: SearchTree;
}

/** Checks a property of the plans of random trees with k = 0 … 4; trees without a right answer have none. */
function forAllPlans(check: (plan: TracePlan, from: Case) => void, highValue: number | null = null): void {
  let plans = 0;
  fc.assert(
    fc.property(cases, fc.integer({ min: 0, max: 4 }), seed, (from, backtracks, seed) => {
      const plan = linearize(from.tree, from.task, from.problem, { backtracks, seed, highValue });
      if ('invalid' in plan) return;
      plans += 1;
      check(plan, from);
    }),
    { numRuns: 40 },
  );
  expect(plans).toBeGreaterThan(10);
}
