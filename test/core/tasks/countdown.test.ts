import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Json } from '../../../src/core/problem.ts';
import { ProblemRowError } from '../../../src/core/problem.ts';
import { createRandom } from '../../../src/core/seed.ts';
import { countdown } from '../../../src/core/tasks/countdown.ts';
import {
  countdownOptions,
  countdownProblem,
  countdownSplits,
  generateCountdown,
  splitOf,
} from '../../../src/core/tasks/countdown-problems.ts';
import { getTask } from '../../../src/core/tasks/index.ts';
import { countdownPolicy } from '../../fakes/search-run.ts';
import splits from '../../fixtures/countdown-splits.json' with { type: 'json' };

const three = countdownProblem([4, 9, 3], 39);
const four = countdownProblem([1, 1, 4, 6], 24);

const first = '9*4=36 left 3 36 to make 39\n';
const right = '36+3=39 is 39\nAnswer boxed{(9*4)+3}';
const wrong = '36-3=33 is not 39\nAnswer boxed{(9*4)-3}';

describe('the task list', () => {
  it('finds a task by name and lists the known ones otherwise', () => {
    expect(getTask({ name: 'countdown' }).name).toBe('countdown');
    expect(() => getTask({ name: 'sudoku' })).toThrow('no task "sudoku". Known tasks: countdown');
  });
});

describe('Countdown rows', () => {
  it('parse with an id, without one, and with fields of other data sets', () => {
    expect(countdown.parseRow({ numbers: [4, 9, 3], target: 39 })).toEqual(three);
    expect(countdown.parseRow({ id: 'g24-0001', numbers: [1, 1, 4, 6], target: 24, human_solved_rate: 0.99 })).toEqual({
      id: 'g24-0001',
      data: { numbers: [1, 1, 4, 6], target: 24 },
    });
  });

  it.each<[Json, string]>([
    [null, 'object'],
    [[4, 9, 3], 'object'],
    [{ target: 39 }, '"numbers"'],
    [{ numbers: [4], target: 39 }, '"numbers"'],
    [{ numbers: [4, 9.5, 3], target: 39 }, '"numbers"'],
    [{ numbers: [4, 0, 3], target: 39 }, '"numbers"'],
    [{ numbers: [4, 9, 3] }, '"target"'],
    [{ numbers: [4, 9, 3], target: '39' }, '"target"'],
    [{ id: '', numbers: [4, 9, 3], target: 39 }, '"id"'],
  ])('refuse %j', (row, message) => {
    expect(() => countdown.parseRow(row)).toThrow(ProblemRowError);
    expect(() => countdown.parseRow(row)).toThrow(message);
  });
});

describe('splits', () => {
  it('are those of the corpus that the base model was trained on', () => {
    for (const { numbers, target, split } of splits) expect(splitOf(numbers, target)).toBe(split);
    expect(new Set(splits.map((row) => row.split))).toEqual(new Set(countdownSplits));
  });

  it('do not depend on the order of the numbers', () => {
    expect(splitOf([4, 9, 3], 39)).toBe(splitOf([9, 3, 4], 39));
  });
});

describe('generated problems', () => {
  const generate = (split: string, count: number, options: object = {}, seed = 1) =>
    generateCountdown({ split, count, seed }, { ...countdownOptions, ...options });

  it.each(countdownSplits)('of split %s belong to it, differ, and stay in range', (split) => {
    const problems = generate(split, 60);
    const keys = problems.map(({ data }) => `${data.numbers.toSorted((a, b) => a - b)}:${data.target}`);
    expect(new Set(keys).size).toBe(60);
    for (const { id, data } of problems) {
      expect(splitOf(data.numbers, data.target)).toBe(split);
      expect(data.numbers).toHaveLength(3);
      expect(Math.min(...data.numbers)).toBeGreaterThanOrEqual(countdownOptions.min);
      expect(Math.max(...data.numbers)).toBeLessThanOrEqual(countdownOptions.max);
      expect(data.target).toBeGreaterThanOrEqual(countdownOptions.minTarget);
      expect(data.target).toBeLessThanOrEqual(countdownOptions.maxTarget);
      expect(countdown.parseRow({ numbers: data.numbers, target: data.target })).toEqual({ id, data });
    }
  });

  it('are the same for the same seed only', () => {
    expect(generate('train', 20)).toEqual(generate('train', 20));
    expect(generate('train', 20)).not.toEqual(generate('train', 20, {}, 2));
  });

  it('can have four numbers', () => {
    expect(generate('train', 10, { numbers: 4 }).every(({ data }) => data.numbers.length === 4)).toBe(true);
  });

  it('can be solved', () => {
    for (const problem of generate('test-numbers', 30))
      expect(reachable(problem.data.numbers)).toContain(problem.data.target);
  });

  it('say what to change when there are too few, or the split is unknown', () => {
    expect(() => generate('train', 50, { max: 3 })).toThrow(/has only about \d+ different problems.*Ask for fewer/);
    expect(() => generate('train', 5, { operators: '*', min: 100, max: 120 })).toThrow(RangeError);
    expect(() => generate('validation', 5)).toThrow('no split "validation"');
  });
});

describe('verifying a Countdown answer', () => {
  const verify = (text: string) => countdown.verify(three, text);

  it('is exact, through the last boxed expression', () => {
    expect(verify(first + right)).toEqual({ correct: true, answer: '(9*4)+3', reason: 'makes 39' });
    expect(verify(`Answer boxed{4+9+3}\nWait\nAnswer boxed{3+4*9}`).correct).toBe(true);
    expect(verify('boxed{9*4+3} and boxed{4+9+3}').correct).toBe(false);
    expect(countdown.verify(countdownProblem([3, 3, 8, 8], 24), 'boxed{8/(3-8/3)}').correct).toBe(true);
  });

  it.each([
    ['36+3=39 is 39', 'no boxed answer'],
    ['boxed{(9*4)+3', 'no boxed answer'],
    ['boxed{9*4+3} then boxed{9*4', 'no boxed answer'],
    ['boxed{(9*4)-3}', 'makes 33, not 39'],
    ['boxed{9/4*3}', 'makes 27/4, not 39'],
    ['boxed{9*4+4-1}', 'uses 4 twice'],
    ['boxed{9*4+3+0}', 'uses 0, which is not given'],
    ['boxed{39}', 'uses 39, which is not given'],
    ['boxed{9*4}', 'does not use 3'],
    ['boxed{}', 'not an expression'],
    ['boxed{9**4}', 'not an expression'],
    ['boxed{3/(9-9)}', 'division by zero'],
  ])('%s: %s', (text, reason) => {
    expect(verify(text).correct).toBe(false);
    expect(verify(text).reason).toContain(reason);
  });

  it('counts equal numbers', () => {
    expect(countdown.verify(four, 'boxed{(1+4-1)*6}').correct).toBe(true);
    expect(countdown.verify(four, 'boxed{4*6*1}').reason).toBe('uses 1 once, not twice');
  });

  it('never throws', () => {
    fc.assert(fc.property(fc.string(), (text) => verify(`boxed{${text}`).correct === false));
  });
});

describe('answer classes', () => {
  const classOf = (answer: string) => countdown.answerClass(three, answer);

  it('hold right answers that are the same up to order', () => {
    expect(classOf('(9*4)+3')).toBe(classOf('3+4*9'));
    const twice = countdownProblem([2, 2, 4], 8);
    expect(countdown.answerClass(twice, '2*2+4')).not.toBe(countdown.answerClass(twice, '2+2+4'));
  });

  it('hold wrong answers by the value they reach', () => {
    expect(classOf('9*4-3')).toBe('33');
    expect(classOf('(9+3-1)*3')).toBe('33');
    expect(classOf('39')).not.toBe(classOf('9*4+3'));
    expect(classOf('9**4')).toBe(classOf(' 9**4 '));
    expect(classOf('9/(4-4)')).toBe('undefined');
  });
});

describe('Countdown steps', () => {
  it('are sampled line by line, the last operation together with the answer', () => {
    expect(countdown.stepStops(three, [])).toEqual(['\n']);
    expect(countdown.stepStops(three, [first])).toEqual([]);
    expect(countdown.stepStops(four, [first])).toEqual(['\n']);
    expect(countdown.isTerminal(three, [])).toBe(false);
    expect(countdown.isTerminal(three, [first])).toBe(false);
    expect(countdown.isTerminal(three, [first, right])).toBe(true);
  });

  it('that stopped before their stop string end the attempt', () => {
    expect(countdown.isTerminal(four, ['6*4=24 left 1 1'])).toBe(true);
    expect(countdown.splitSteps(four, '6*4=24 left 1 1')).toEqual(['6*4=24 left 1 1']);
  });

  it('split a whole solution as step-wise sampling would have', () => {
    fc.assert(
      fc.property(fc.constantFrom(three, four), fc.integer(), (problem, seed) => {
        const random = createRandom(seed);
        const steps: string[] = [];
        while (!countdown.isTerminal(problem, steps)) steps.push(countdownPolicy(problem, steps, random));
        expect(countdown.splitSteps(problem, steps.join(''))).toEqual(steps);
      }),
    );
    expect(countdown.splitSteps(three, '')).toEqual([]);
  });
});

describe('soundness', () => {
  const isSound = (...steps: string[]) => countdown.isSound(three, steps);

  it('accepts true attempts, right or wrong', () => {
    expect(isSound(first, right)).toBe(true);
    expect(isSound(first, wrong)).toBe(true);
    expect(isSound('9*4=36 left 36 3 to make 39\n', right)).toBe(true);
    expect(
      countdown.isSound(four, [
        '4+1=5 left 1 6 5 to make 24\n',
        '5-1=4 left 6 4 to make 24\n',
        '6*4=24 is 24\nAnswer boxed{((4+1)-1)*6}',
      ]),
    ).toBe(true);
  });

  it.each([
    ['a false equation', ['9*4=35 left 3 35 to make 39\n', '35+3=38 is not 39\nAnswer boxed{(9*4)+3}']],
    ['an operand that is not there', ['9*5=45 left 3 45 to make 39\n', '45-3=42 is not 39\nAnswer boxed{(9*4)+3}']],
    ['one number used as both operands', ['9+9=18 left 4 3 18 to make 39\n', right]],
    ['something else left', ['9*4=36 left 4 36 to make 39\n', right]],
    ['another target', ['9*4=36 left 3 36 to make 38\n', right]],
    ['another target in the verdict', [first, '36+3=39 is 38\nAnswer boxed{(9*4)+3}']],
    ['a verdict that is not true', [first, '36-3=33 is 39\nAnswer boxed{(9*4)-3}']],
    ['a denial that is not true', [first, '36+3=39 is not 39\nAnswer boxed{(9*4)+3}']],
    ['a right box after a wrong check', [first, '36-3=33 is not 39\nAnswer boxed{(9*4)+3}']],
    ['a box with other numbers', [first, '36+3=39 is 39\nAnswer boxed{36+3}']],
    ['a missing answer', [first, '36+3=39 is 39\n']],
    ['too few steps', ['9*4=36 is not 39\nAnswer boxed{9*4}']],
    ['no steps', []],
  ])('refuses %s', (_name, steps) => expect(isSound(...(steps as string[]))).toBe(false));
});

function reachable(numbers: number[]): number[] {
  if (numbers.length === 1) return numbers;
  return numbers.flatMap((a, i) =>
    numbers.flatMap((b, j) => {
      if (i === j) return [];
      const rest = numbers.filter((_, k) => k !== i && k !== j);
      return [a + b, a - b, a * b].flatMap((value) => reachable([...rest, value]));
    }),
  );
}
