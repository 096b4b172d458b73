import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { countdown } from '../../../src/core/tasks/countdown.ts';

describe('Game of 24 as Countdown', () => {
  const rows = readFileSync(new URL('../../../data/game24.jsonl', import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .map((line) => countdown.parseRow(JSON.parse(line)));

  it('reads every row of the shipped file, each with an id of its own', () => {
    expect(rows).toHaveLength(1362);
    expect(new Set(rows.map((row) => row.id)).size).toBe(1362);
    expect(rows.every((row) => row.data.target === 24 && row.data.numbers.length === 4)).toBe(true);
  });

  it('grades division exactly: 8 / (3 - 8 / 3) is 24', () => {
    const problem = countdown.parseRow({ numbers: [3, 3, 8, 8], target: 24 });
    expect(countdown.verify(problem, 'Answer boxed{8/(3-8/3)}').correct).toBe(true);
    expect(countdown.verify(problem, 'Answer boxed{8/(3-(8/3)+0)}').correct).toBe(false);
  });
});
