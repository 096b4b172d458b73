import { describe, expect, it } from 'vitest';
import type { TracePlan } from '../../src/core/linearize.ts';
import { astroPhrases } from '../../src/core/tasks/astro-phrases.ts';
import { countdown } from '../../src/core/tasks/countdown.ts';
import { countdownProblem } from '../../src/core/tasks/countdown-problems.ts';
import { renderTrace } from '../../src/core/trace.ts';
import { extractAnswer } from '../../src/core/verify/index.ts';
import { deepProblem, deepTask } from '../fakes/deep-task.ts';
import { treeOf } from '../fakes/tree-of.ts';

describe('a Countdown trace', () => {
  const problem = countdownProblem([4, 9, 3], 39);
  const first = '9*4=36 left 3 36 to make 39\n';
  const tree = treeOf(countdown, problem, [
    [first, '36-3=33 is not 39\nAnswer boxed{(9*4)-3}'],
    [first, '36+3=39 is 39\nAnswer boxed{(9*4)+3}'],
    ['9+4=13 left 3 13 to make 39\n', '13*3=39 is 39\nAnswer boxed{(9+4)*3}'],
  ]);
  // Node ids in the order of the solutions: 1 first, 2 wrong, 3 right, 4 and 5 the third.
  const plan = (events: TracePlan['events'], star: number): TracePlan => ({
    nodes: [],
    events,
    answers: [
      { node: 2, answerClass: '33', correct: false },
      { node: star, answerClass: '39', correct: true },
    ],
    requested: 1,
    backtracks: 1,
  });

  it('goes back to what was left, and shows a wrong attempt up to its check', () => {
    const events: TracePlan['events'] = [
      { kind: 'step', node: 1 },
      { kind: 'step', node: 2 },
      { kind: 'backtrack', to: 1 },
      { kind: 'answer', node: 3 },
    ];
    const { text, moves } = renderTrace(plan(events, 3), tree, countdown, problem);
    expect(countdown.prompt(problem)[0]?.content + text).toBe(
      'Use 4 9 3 to make 39\n' +
        '9*4=36 left 3 36 to make 39\n' +
        '36-3=33 is not 39\n' +
        'Wait go back to 3 36 to make 39\n' +
        '36+3=39 is 39\n' +
        'Answer boxed{(9*4)+3}',
    );
    expect(moves.map(({ kind, node }) => [kind, node])).toEqual([
      ['step', 1],
      ['step', 2],
      ['backtrack', 1],
      ['answer', 3],
    ]);
  });

  it('restarts at the root, and reflects positively where planned', () => {
    const events: TracePlan['events'] = [
      { kind: 'step', node: 1 },
      { kind: 'step', node: 2 },
      { kind: 'restart' },
      { kind: 'step', node: 4 },
      { kind: 'reflectPositive', node: 4 },
      { kind: 'answer', node: 5 },
    ];
    expect(renderTrace(plan(events, 5), tree, countdown, problem).text).toBe(
      '9*4=36 left 3 36 to make 39\n' +
        '36-3=33 is not 39\n' +
        'Wait start over with 4 9 3 to make 39\n' +
        '9+4=13 left 3 13 to make 39\n' +
        'Looks right so far\n' +
        '13*3=39 is 39\n' +
        'Answer boxed{(9+4)*3}',
    );
  });
});

describe('a trace in ASTRO phrases', () => {
  it('reflects before either verdict, quotes where it goes back to, and boxes only the last answer', () => {
    const problem = deepProblem(9, 3);
    const tree = treeOf(deepTask, problem, [
      ['Step 1: add 2.\n\n', 'Step 2: add 3.\n\n', 'Step 3: add 5.\nThe total is \\boxed{10}.'],
      ['Step 1: add 2.\n\n', 'Step 2: add 3.\n\n', 'Step 3: add 4.\nThe total is \\boxed{9}.'],
    ]);
    const plan: TracePlan = {
      nodes: [0, 1, 2, 3, 4],
      events: [
        { kind: 'step', node: 1 },
        { kind: 'reflectPositive', node: 1 },
        { kind: 'step', node: 2 },
        { kind: 'step', node: 3 },
        { kind: 'backtrack', to: 2 },
        { kind: 'answer', node: 4 },
        { kind: 'reflectAnswer', node: 4 },
      ],
      answers: [
        { node: 3, answerClass: '10', correct: false },
        { node: 4, answerClass: '9', correct: true },
      ],
      requested: 1,
      backtracks: 1,
    };
    const { text } = renderTrace(plan, tree, deepTask, problem);
    expect(text).toBe(
      [
        'Step 1: add 2.',
        'But wait, are we solving the problem correctly so far? Hmm...\nOur solution seems to be correct so far.',
        'Step 2: add 3.',
        'Step 3: add 5.\nThe total is 10.',
        'But wait, are we solving the problem correctly so far? Hmm...\n' +
          "I'm not sure if we're solving the problem correctly so far. Let's go back to where we wrote \"Step 2: add 3.\".",
        'Step 3: add 4.\nThe total is \\boxed{9}.',
        'But wait, are we solving the problem correctly so far? Hmm...\nOur solution seems to be correct so far.',
      ].join('\n\n'),
    );
    expect(deepTask.verify(problem, text).correct).toBe(true);
  });

  it('restarts from the beginning at the root', () => {
    expect(astroPhrases.restart(deepProblem(9))).toContain("Let's restart our solution from the beginning.");
    expect(astroPhrases.restart(deepProblem(9))).toContain(astroPhrases.backtrackMarker);
  });

  it('quotes one short line', () => {
    const heading = `## Step 2: ${'x'.repeat(300)}\nmore`;
    expect(astroPhrases.backtrack(deepProblem(9), [heading])).toMatch(/where we wrote "Step 2: x+…"\.\n\n$/);
  });

  it.each([
    ['It is $\\boxed{\\frac{1}{2}}$, so \\boxed{a \\boxed{b}}.\n', 'It is $\\frac{1}{2}$, so a b.'],
    ['First \\boxed{3}, then \\boxed{4', 'First 3, then 4'],
    ['\\fbox{3} or \\boxed {4} or \\boxed 5', '3 or 4 or 5'],
    ['\\\\boxed{\\{1, 2\\}} and \\boxed{\\left\\{ 1 \\right.}', '\\{1, 2\\} and \\left\\{ 1 \\right.'],
    ['a \\\\\\boxed{3}', 'a \\\\3'],
    ['nothing \\boxedup', 'nothing \\boxedup'],
  ])('takes every box out of a failed step: %s', (step, unboxed) => {
    expect(astroPhrases.withoutAnswer(step)).toBe(`${unboxed}\n\n`);
    expect(extractAnswer(astroPhrases.withoutAnswer(step))).toBeNull();
  });

  it('stands in a paragraph of its own, however the step before it ends', () => {
    for (const end of ['', '\n', '\n\n']) {
      const step = `## Step 1: Add${end}`;
      const text = step + astroPhrases.reflectPositive(deepProblem(9), [step]);
      expect(text).toMatch(/^## Step 1: Add\n\nBut wait,/);
    }
  });
});
