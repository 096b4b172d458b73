import { describe, expect, it } from 'vitest';
import { countBacktracks } from '../../../src/core/behaviour.ts';
import { planRows } from '../../../src/core/linearize.ts';
import { createRandom } from '../../../src/core/seed.ts';
import { countdown } from '../../../src/core/tasks/countdown.ts';
import { countdownProblem } from '../../../src/core/tasks/countdown-problems.ts';
import { createMath } from '../../../src/core/tasks/math.ts';
import type { MathProblem } from '../../../src/core/tasks/math-rows.ts';
import { scriptMath } from '../../../src/core/tasks/math-script.ts';
import { renderTrace } from '../../../src/core/trace.ts';
import { type FakePolicy, runSearch } from '../../fakes/search-run.ts';

const math = createMath({ format: 'auto', prompt: 'instruct' });
const fewShot = createMath({ format: 'auto', prompt: 'few-shot' });
const problem: MathProblem = math.parseRow({ problem: 'What is 12 + 30?', answer: '42' });
const long: MathProblem = math.parseRow({
  problem: 'Ann has 1,200 coins, 7 bags, 15 boxes and 9 cats. How many?',
  answer: '1',
});

const content = (task: typeof math, of: MathProblem) => task.prompt(of)[0]?.content ?? '';
const templates: [string, string][] = [
  ['plain instruct', content(math, problem)],
  ['plain few-shot', content(fewShot, problem)],
  ['a chat template', `<|im_start|>user\n${content(math, problem)}<|im_end|>\n<|im_start|>assistant\n`],
  ['a chat template that trims', `[INST] ${content(fewShot, problem).trim()} [/INST]\n`],
];
const write = (text: string, seed: number, retries = 0) => scriptMath(text, createRandom(seed), retries) as string;

describe.each(templates)('the scripted writer after %s', (_name, prompt) => {
  it('writes steps that end in a box, right about one time in three and wrong in different ways', () => {
    const verdicts = Array.from({ length: 300 }, (_, seed) => {
      const text = write(prompt, seed);
      expect(math.isSound(problem, math.splitSteps(problem, text))).toBe(true);
      return math.verify(problem, text);
    });
    const right = verdicts.filter(({ correct }) => correct === true).length;
    expect(right).toBeGreaterThan(60);
    expect(right).toBeLessThan(140);
    expect(new Set(verdicts.map(({ answer }) => answer))).toEqual(new Set(['42', '18', '360']));
  });

  it('goes on after whole steps to an answer, whatever stands there', () => {
    const [first] = math.splitSteps(problem, write(prompt, 1));
    expect(write(prompt + first, 2)).toMatch(/^## Step 2: .*\n.*\nThe answer is \\boxed\{\d+\}\.$/);
    expect(write(`${prompt}## Step 1: Think\nHm.\n\n`, 2)).toMatch(/^## Step 2: .*\n/);
    expect(write(prompt + write(prompt, 1), 2)).toBe('');
  });
});

describe('the scripted writer', () => {
  const prompt = content(math, long);

  it('is determined by its random numbers', () => {
    expect(write(prompt, 5, 3)).toBe(write(prompt, 5, 3));
    expect(new Set(Array.from({ length: 20 }, (_, seed) => write(prompt, seed))).size).toBeGreaterThan(10);
  });

  it('takes a longer problem in steps, each numbered and sampled alone', () => {
    const steps = math.splitSteps(long, write(prompt, 3));
    expect(steps).toHaveLength(4);
    expect(steps[0]).toContain('1200, 7, 15, 9');
    for (const [k, step] of steps.entries()) expect(step.startsWith(`## Step ${k + 1}: `)).toBe(true);
  });

  it('goes back at most as often as it may, in the words of the traces, and boxes one answer', () => {
    const counts = Array.from({ length: 60 }, (_, seed) => {
      const text = write(prompt, seed, 2);
      expect(text.split('\\boxed{')).toHaveLength(2);
      return countBacktracks(text, math.phrases);
    });
    expect(new Set(counts)).toEqual(new Set([0, 1, 2]));
    expect(countBacktracks(write(prompt, 1, 0), math.phrases)).toBe(0);
  });

  it('continues from where a text went back to', () => {
    const steps = math.splitSteps(long, write(prompt, 3));
    const back = math.phrases.backtrack(long, steps.slice(0, 2));
    const written = steps.slice(0, 3).join('') + back;
    expect(write(prompt + written, 4)).toMatch(/^## Step 3: /);
    expect(write(prompt + written + math.phrases.restart(long), 4)).toMatch(/^## Step 1: /);
  });

  it('invents numbers for a problem without them', () => {
    const bare = math.parseRow({ problem: 'How many are there?', answer: '1' });
    expect(write(content(math, bare), 1)).toContain('\\boxed{');
  });

  it('leaves texts of other tasks alone', () => {
    expect(scriptMath('What is 12 + 30?', createRandom(1), 0)).toBeNull();
    const other = countdown.prompt(countdownProblem([4, 9, 3], 39))[0]?.content ?? '';
    expect(scriptMath(other, createRandom(1), 0)).toBeNull();
    expect(countdown.script(prompt, createRandom(1), 0)).toBeNull();
  });
});

describe('a search with the scripted writer', () => {
  const policy: FakePolicy<MathProblem> = (of, steps, random) => {
    const whole = scriptMath(content(math, of) + steps.join(''), random, 0) ?? '';
    const ends = math.stepStops(of, steps).flatMap((stop) => (whole.includes(stop) ? [whole.indexOf(stop)] : []));
    return whole.slice(0, Math.min(...ends, whole.length));
  };

  it('gives trees whose traces end right, box one answer and go back as planned', () => {
    const goal: MathProblem = math.parseRow({
      problem: 'Ben buys 3 pens at 4 coins, then 5 more coins.',
      answer: '17',
    });
    const { tree } = runSearch(math, goal, policy, { params: { rounds: 8 } });
    const rows = planRows(tree, math, goal, {
      rowsPerTree: { search: 6, direct: 2 },
      mix: [1, 2],
      seed: 1,
      highValue: 0.75,
    });
    if ('invalid' in rows) throw new Error(rows.invalid);
    expect(new Set(rows.rows.map(({ plan }) => plan.backtracks))).toEqual(new Set([0, 1, 2]));
    for (const { plan } of rows.rows) {
      const { text } = renderTrace(plan, tree, math, goal);
      expect(math.verify(goal, text).correct).toBe(true);
      expect(text.split('\\boxed{')).toHaveLength(2);
      expect(countBacktracks(text, math.phrases)).toBe(plan.backtracks);
      expect(text).not.toContain('\n\n\n');
      for (const header of text.matchAll(/## Step/g)) expect(text.slice(0, header.index)).toMatch(/(^|\n\n)$/);
    }
  });
});
