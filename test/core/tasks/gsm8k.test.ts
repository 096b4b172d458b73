import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Json } from '../../../src/core/problem.ts';
import { createMath } from '../../../src/core/tasks/math.ts';

const math = createMath({ format: 'auto', prompt: 'instruct' });

function readRows(name: string): { question: string; answer: string }[] {
  const text = readFileSync(new URL(`../../../data/${name}`, import.meta.url), 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

describe.each([
  ['gsm8k-test.jsonl', 1319],
  ['gsm8k-train.jsonl', 7473],
])('%s', (name, count) => {
  const rows = readRows(name);
  const problems = rows.map((row) => math.parseRow(row as Json));

  it('is whole, and every problem differs from the others', () => {
    expect(problems).toHaveLength(count);
    expect(new Set(problems.map(({ id }) => id)).size).toBe(count);
    expect(problems.every(({ data }) => data.format === 'gsm8k')).toBe(true);
  });

  it('has the answers that its own solutions end in', () => {
    const wrong = rows.filter(
      (row, i) => math.verify(problems[i] as (typeof problems)[0], row.answer).correct !== true,
    );
    expect(wrong).toEqual([]);
  });

  it('takes every answer in a box, and no neighbour of it', () => {
    const misjudged = problems.filter((problem) => {
      const answer = problem.data.answer;
      const number = Number(answer.replaceAll(',', ''));
      const [right, wrong] = [`\\boxed{${answer}}`, `\\boxed{${number + 1}}`].map((text) => math.verify(problem, text));
      return right?.correct !== true || wrong?.correct !== false;
    });
    expect(misjudged).toEqual([]);
  });
});

describe('the two parts of GSM8K', () => {
  it('share no problem', () => {
    const families = (name: string) => readRows(name).map((row) => math.family(math.parseRow(row as Json)));
    const train = new Set(families('gsm8k-train.jsonl'));
    expect(families('gsm8k-test.jsonl').filter((family) => train.has(family))).toEqual([]);
  });
});
