import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { linearize } from '../../../src/core/linearize.ts';
import { foldRounds, mergeSolutions } from '../../../src/core/search/index.ts';
import { getTask } from '../../../src/core/tasks/index.ts';
import { createMath, mathTask } from '../../../src/core/tasks/math.ts';
import type { MathProblem } from '../../../src/core/tasks/math-rows.ts';
import { renderTrace } from '../../../src/core/trace.ts';
import { noUsage } from '../../../src/core/usage.ts';
import { searchParams } from '../../fakes/search-run.ts';

const math = createMath({ format: 'auto', prompt: 'instruct' });
const fewShot = createMath({ format: 'auto', prompt: 'few-shot' });

const problemOf = (answer: string, problem = 'What is 12 + 30?'): MathProblem => math.parseRow({ problem, answer });
const sum = problemOf('42');

describe('the math task', () => {
  it('is named by a configuration, with defaults', () => {
    const options = mathTask.options.parse({ name: 'math' });
    expect(options).toEqual({ name: 'math', format: 'auto', prompt: 'instruct' });
    expect(getTask(options).name).toBe('math');
    expect(mathTask.options.safeParse({ name: 'math', prompt: 'zero-shot' }).success).toBe(false);
    expect(mathTask.options.safeParse({ name: 'math', steps: 3 }).success).toBe(false);
  });

  it('reads its problems from files and says so', () => {
    expect(() => math.generate({ split: 'train', count: 1, seed: 0 })).toThrow(RangeError);
    expect(() => math.generate({ split: 'train', count: 1, seed: 0 })).toThrow('"file": "data/gsm8k-train.jsonl"');
  });

  it('knows a problem again by its text, however it is spaced, quoted or composed', () => {
    const family = (problem: string) => math.family(problemOf('1', problem));
    expect(family('Zoë’s  café\n has\u00a02')).toBe(family("Zoe\u0308's café has 2 "));
    expect(family('What is 2²?')).not.toBe(family('What is 22?'));
  });
});

describe('prompts', () => {
  it('hold the problem as it was written, in one message of the user', () => {
    const problem = problemOf('3', 'Let $x\n= 1$.\u00a0 What is\r\n$x + 2$?');
    for (const task of [math, fewShot]) {
      const messages = task.prompt(problem);
      expect(messages.map(({ role }) => role)).toEqual(['user']);
      expect(messages[0]?.content).toContain(problem.data.problem);
    }
  });

  it('tell an instruct model about headers and the box, and end without white space that a template would trim', () => {
    const content = math.prompt(sum)[0]?.content ?? '';
    expect(content).toContain('"## Step 1: …"');
    expect(content).toContain('\\boxed{}');
    expect(content).toBe(content.trim());
  });

  it('show a base model solved problems in exactly the form that steps are split by', () => {
    const content = fewShot.prompt(sum)[0]?.content ?? '';
    expect(content.endsWith('\n\nProblem: What is 12 + 30?\nSolution:\n')).toBe(true);
    const examples = content.split('\nProblem:').slice(1, -1);
    expect(examples).toHaveLength(4);
    for (const example of examples) {
      const solution = example.split('\nSolution:\n')[1] ?? '';
      const steps = math.splitSteps(sum, solution.trimEnd());
      expect(steps.length).toBeGreaterThan(1);
      for (const [k, step] of steps.entries()) expect(step).toMatch(new RegExp(`^## Step ${k + 1}: .+\n`));
      expect(math.isTerminal(sum, steps)).toBe(true);
    }
  });

  it('make an answer end where the next few-shot problem would begin', () => {
    expect(fewShot.answerStops).toEqual(['\nProblem:']);
    expect(math.answerStops).toEqual([]);
  });
});

describe('verifying', () => {
  it('reads the last box, and is exact', () => {
    const verify = (text: string) => math.verify(sum, text);
    expect(verify('## Step 1: Add\nThe sum is $\\boxed{42}$.')).toMatchObject({ correct: true, answer: '42' });
    expect(verify('\\boxed{18} no, \\boxed{42}').correct).toBe(true);
    expect(verify('\\boxed{42} no, \\boxed{18}').correct).toBe(false);
    expect(verify('\\boxed{41.9999999}').correct).toBe(false);
    expect(verify('no idea')).toEqual({ correct: false, reason: 'no answer' });
  });

  it('leaves what the checker cannot decide unknown, so that it pays nothing', () => {
    expect(math.verify(sum, '\\boxed{((10^{99})!)!}').correct).toBe('unknown');
    expect(math.verify(sum, '\\boxed{}').correct).toBe(false);
  });

  it('scores as the field does what it does not reward', () => {
    const golds = (answer: string) => math.parseRow({ problem: 'What is it?', answer });
    const verdicts = (gold: string, text: string) =>
      (['reward', 'score'] as const).map((use) => math.verify(golds(gold), text, use).correct);
    expect(verdicts('\\sqrt{2}', '\\boxed{1.4142135624}')).toEqual([expect.not.toSatisfy((v) => v === true), true]);
    expect(verdicts('1, 2', 'either \\boxed{1} or \\boxed{2}')).toEqual([false, true]);
    expect(verdicts('42', 'not \\boxed{18} but \\boxed{42}')).toEqual([true, true]);
    expect(verdicts('42', 'not \\boxed{42} but \\boxed{18}')).toEqual([false, false]);
    // Whatever scores is in the class of the right answer, and so never a wrong attempt of a trace.
    const root = golds('\\sqrt{2}');
    expect(math.answerClass(root, '1.4142135624')).toBe(math.answerClass(root, '2^{1/2}'));
  });

  const latex = fc.constantFrom(
    '\\frac',
    '\\sqrt',
    '\\boxed',
    '\\left',
    '{',
    '}',
    '(',
    ']',
    '^',
    '_',
    '!',
    ',',
    '1',
    '0',
    'x',
    ' ',
  );

  it('never throws', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: latex })), (text) => {
        expect(math.verify(sum, `\\boxed{${text}}`)).toHaveProperty('reason');
        expect(math.isSound(sum, [text])).toBeTypeOf('boolean');
        expect(math.answerClass(sum, text)).toBeTypeOf('string');
      }),
    );
  });
});

describe('answer classes', () => {
  const half = problemOf('\\frac{1}{2}');

  it('hold all right answers in one class', () => {
    expect(math.answerClass(half, '0.5')).toBe(math.answerClass(half, '\\dfrac12'));
    expect(math.answerClass(half, '2/4')).toBe(math.answerClass(half, '\\frac{1}{2}'));
  });

  it('hold equal wrong answers together, and never with the right one', () => {
    expect(math.answerClass(half, '0.25')).toBe(math.answerClass(half, '\\frac14'));
    expect(math.answerClass(half, '3')).not.toBe(math.answerClass(half, '4'));
    expect(math.answerClass(half, '3')).not.toBe(math.answerClass(half, '1/2'));
  });
});

describe('soundness', () => {
  it('asks for a boxed answer that can be read, right or wrong, and for steps that say something', () => {
    expect(math.isSound(sum, ['## Step 1: a\n\n', '## Step 2: b\n\\boxed{42}'])).toBe(true);
    expect(math.isSound(sum, ['## Step 1: a\n\n', '## Step 2: b\n\\boxed{360}'])).toBe(true);
    expect(math.isSound(sum, ['## Step 1: a\n\n', '## Step 2: it stays open'])).toBe(false);
    expect(math.isSound(sum, ['## Step 1: a\n\n', ' \n', '\\boxed{42}'])).toBe(false);
    expect(math.isSound(sum, ['## Step 1: a\n#### 42'])).toBe(false);
    expect(math.isSound(sum, [])).toBe(false);
  });
});

describe('a tree of solutions as a trace', () => {
  const solutions = [
    '## Step 1: Look\nThere are two numbers.\n\n## Step 2: Multiply\n12 * 30 = 360.\nThe answer is $\\boxed{360}$.',
    '## Step 1: Look\nThere are two numbers.\n\n## Step 2: Add\n12 + 30 = 42.\nThe answer is $\\boxed{42}$.',
  ];
  const samples = solutions.map((text) => ({ text, tokens: [], stopReason: 'stop' as const }));
  const children = mergeSolutions(math, sum, samples);
  const expansions = [{ node: 0, children }];
  const schema = 'astroflow.search-round/1' as const;
  const round = { schema, round: 0, expansions, revisits: [], calls: [], usage: noUsage };
  const tree = foldRounds(sum.id, [round], { ...searchParams, algorithm: 'sampling' });

  it('boxes only the right answer, quotes the step it goes back to, and keeps blank lines single', () => {
    const plan = linearize(tree, math, sum, { backtracks: 1, seed: 1, highValue: 0.5 });
    if ('invalid' in plan) throw new Error(plan.invalid);
    const { text } = renderTrace(plan, tree, math, sum);
    const reflection = 'But wait, are we solving the problem correctly so far? Hmm...';
    expect(text).toBe(
      [
        '## Step 1: Look\nThere are two numbers.',
        `${reflection}\nOur solution seems to be correct so far.`,
        '## Step 2: Multiply\n12 * 30 = 360.\nThe answer is $360$.',
        `${reflection}\nI'm not sure if we're solving the problem correctly so far. ` +
          'Let\'s go back to where we wrote "Step 1: Look".',
        '## Step 2: Add\n12 + 30 = 42.\nThe answer is $\\boxed{42}$.',
        `${reflection}\nOur solution seems to be correct so far.`,
      ].join('\n\n'),
    );
    expect(math.verify(sum, text).correct).toBe(true);
  });
});
