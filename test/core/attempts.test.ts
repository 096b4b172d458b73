import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { attemptsIn } from '../../src/core/attempts.ts';
import { countBacktracks } from '../../src/core/behaviour.ts';
import type { Json, Problem } from '../../src/core/problem.ts';
import { createRandom } from '../../src/core/seed.ts';
import type { Task } from '../../src/core/task.ts';
import { defaultTasks } from '../../src/core/tasks/index.ts';

const named = (name: string) => defaultTasks().find((task) => task.name === name) as Task;
const [countdown, sudoku, math] = [named('countdown'), named('sudoku4'), named('math')];

/** An answer as an evaluation records it. */
function answered(task: Task, problem: Problem, text: string, stopReason: 'stop' | 'length' = 'stop') {
  const verdict = task.verify(problem, text, 'score');
  const answerClass = verdict.answer === undefined ? null : task.answerClass(problem, verdict.answer);
  return { text, stopReason, verdict, answerClass };
}

const read = (task: Task, row: Json, text: string, stopReason?: 'stop' | 'length') => {
  const problem = task.parseRow(row);
  return attemptsIn(task, problem, answered(task, problem, text, stopReason));
};

describe('attempts of a Countdown answer', () => {
  const row = { numbers: [4, 9, 3], target: 39 };

  it('are what each check line reaches, and the answer itself at the end', () => {
    const text =
      '9+4=13 left 3 13 to make 39\n13-3=10 is not 39\nWait start over with 4 9 3 to make 39\n' +
      '9*4=36 left 3 36 to make 39\n36-3=33 is not 39\nWait go back to 3 36 to make 39\n' +
      '36+3=39 is 39\nAnswer boxed{(9*4)+3}';
    expect(read(countdown, row, text)).toEqual([
      { correct: false, answerClass: '10' },
      { correct: false, answerClass: '33' },
      { correct: true, answerClass: expect.stringContaining('39 =') },
    ]);
  });

  it('know a right attempt that the text turned away from', () => {
    const text =
      '9*4=36 left 3 36 to make 39\n36+3=39 is 39\nWait start over with 4 9 3 to make 39\n' +
      '9+4=13 left 3 13 to make 39\n13-3=10 is not 39\nAnswer boxed{(9+4)-3}';
    expect(read(countdown, row, text).map(({ correct }) => correct)).toEqual([true, false]);
  });

  it('are not right by a false line, or from a state that nothing had reached', () => {
    const ends = '36+3=39 is 39\nWait start over with 4 9 3 to make 39\n';
    const starts = ['9*4=35 left 3 36 to make 39\n', '9*5=36 left 3 36 to make 39\n', '9+4=13 left 3 36 to make 39\n'];
    for (const start of starts) expect(read(countdown, row, start + ends)[0]).toMatchObject({ correct: false });
    const jump = `9+4=13 left 3 13 to make 39\n13-3=10 is not 39\nWait go back to 3 36 to make 39\n${ends}`;
    expect(read(countdown, row, jump)[1]).toEqual({ correct: false, answerClass: '39' });
  });

  it('state nothing where they were given up before their check', () => {
    const text = '9+4=13 left 3 13 to make 39\nWait start over with 4 9 3 to make 39\n9*4=36 left 3 36 to make 39\n';
    expect(read(countdown, row, text, 'length').map(({ answerClass }) => answerClass)).toEqual([null, null]);
  });
});

describe('attempts of a maths answer', () => {
  const row = { problem: 'What is 12 + 30?', answer: '42' };
  const back = (quoted: string) =>
    "But wait, are we solving the problem correctly so far? Hmm...\nI'm not sure if we're solving the problem correctly " +
    `so far. Let's go back to where we wrote "${quoted}".\n\n`;

  it('are what they say their answer is; only the last one has a box', () => {
    const first = '## Step 1: Add\n12 + 30 = 41\nThe answer is 41.\n\n';
    const second = `## Step 2: Add again\nThe answer is $\\frac{84}{2}$.\n\n`;
    const last = '## Step 2: Check\nThe answer is \\boxed{42}.';
    expect(read(math, row, first + back('Step 1: Add') + second + back('The answer is 7') + last)).toEqual([
      { correct: false, answerClass: math.answerClass(math.parseRow(row), '41') },
      { correct: true, answerClass: math.answerClass(math.parseRow(row), '42') },
      { correct: true, answerClass: math.answerClass(math.parseRow(row), '42') },
    ]);
  });

  it('are not guessed from other words', () => {
    const text = `## Step 1: Add\n12 + 30 = 42, so we are near.\n\n${back('Step 1: Add')}## Step 2: End\n\\boxed{40}`;
    expect(read(math, row, text)).toMatchObject([{ answerClass: null }, { correct: false }]);
  });
});

describe('attempts of a Sudoku answer', () => {
  it('are the grids that they were stuck with', () => {
    const text =
      'r3c3=1: 4300 0104 0210 0002\nr3c4=3: 4300 0104 0213 0002\nStuck at r3c1\n' +
      'Wait go back to 4300 0104 0210 0002\nStuck at r3c1: boxed{4300 0104 0210 0002}';
    const attempts = read(sudoku, { puzzle: '4300 0104 0200 0002' }, text);
    expect(attempts).toEqual([
      { correct: false, answerClass: '4300010402130002' },
      { correct: false, answerClass: '4300010402100002' },
    ]);
  });
});

describe('attempts of any scripted answer', () => {
  const mathProblem = math.parseRow({ problem: 'Tom has 12 apples and buys 30 more. How many?', answer: '42' });
  const problems: [Task, Problem[]][] = [
    [countdown, countdown.generate({ split: 'train', count: 30, seed: 3 })],
    [sudoku, sudoku.generate({ split: 'train', count: 30, seed: 3 })],
    [math, [mathProblem]],
  ];

  it.each(problems)(
    'are one more than its backtracks, and all but the last failed where it goes back from failures',
    (task, some) => {
      let wentBack = 0;
      fc.assert(
        fc.property(fc.nat(some.length - 1), fc.integer(), fc.nat(4), (index, seed, retries) => {
          const problem = some[index]!;
          const prompt = task.prompt(problem).at(-1)!.content;
          const text = task.script(prompt, createRandom(seed >>> 0), retries)!;
          const answer = answered(task, problem, text);
          const attempts = attemptsIn(task, problem, answer);
          const backtracks = countBacktracks(text, task.phrases);
          expect(attempts).toHaveLength(backtracks + 1);
          expect(attempts.at(-1)).toEqual({ correct: answer.verdict.correct, answerClass: answer.answerClass });
          expect(attempts.every(({ answerClass }) => answerClass !== null)).toBe(true);
          // A maths script goes back from right answers too.
          if (task !== math) expect(attempts.slice(0, -1).every(({ correct }) => correct === false)).toBe(true);
          wentBack += backtracks;
        }),
      );
      expect(wentBack).toBeGreaterThan(10);
    },
  );

  it.each(problems)('do not depend on what follows: a text that is cut off has the first of them', (task, some) => {
    fc.assert(
      fc.property(
        fc.nat(some.length - 1),
        fc.integer(),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (index, seed, part) => {
          const problem = some[index]!;
          const text = task.script(task.prompt(problem).at(-1)!.content, createRandom(seed >>> 0), 4)!;
          const whole = attemptsIn(task, problem, answered(task, problem, text));
          const cut = text.slice(0, Math.floor(text.length * part));
          const begun = attemptsIn(task, problem, answered(task, problem, cut, 'length'));
          const known = countBacktracks(cut, task.phrases);
          expect(begun.slice(0, known)).toEqual(whole.slice(0, known));
        },
      ),
    );
  });
});
