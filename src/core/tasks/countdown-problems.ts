import { sha256 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import type { Problem } from '../problem.ts';
import { createRandom, type Random } from '../seed.ts';
import type { GenerateOptions } from '../task.ts';

/** Reach `target` from `numbers`, each used exactly once. */
export type CountdownProblem = Problem<{ numbers: number[]; target: number }>;

/** What generated problems look like. */
export interface CountdownOptions {
  /** How many numbers a problem has. */
  numbers: number;
  /** Range of the numbers, both ends included. */
  min: number;
  max: number;
  minTarget: number;
  maxTarget: number;
  /** Operators that the hidden solution may use, e.g. `+-*`. An answer may use all four. */
  operators: string;
  /** No intermediate result of the hidden solution is larger. */
  largest: number;
}

/** What the bundled base model was trained on. */
export const countdownOptions: CountdownOptions = {
  numbers: 3,
  min: 1,
  max: 12,
  minTarget: 10,
  maxTarget: 99,
  operators: '+-*',
  largest: 199,
};

export const countdownSplits = ['train', 'dev-problems', 'test-problems', 'dev-numbers', 'test-numbers'] as const;
export type CountdownSplit = (typeof countdownSplits)[number];

/** Draws in a row without a new problem after which a split counts as used up. */
const MAX_MISSES = 100_000;

/**
 * Which split a problem belongs to, whatever set it is generated for. Two tests: `…-numbers` hold out all problems
 * with these numbers in any order, `…-problems` only this target. The same function as `split_of` in
 * `engine/base/countdown_corpus.py`, so the base model has seen no held-out problem; both are tested against one table.
 */
export function splitOf(numbers: readonly number[], target: number): CountdownSplit {
  const key = sorted(numbers).join(',');
  const byNumbers = bucket(`numbers:${key}`);
  if (byNumbers < 20) return 'test-numbers';
  if (byNumbers < 25) return 'dev-numbers';
  const byProblem = bucket(`problem:${key}:${target}`);
  if (byProblem < 10) return 'test-problems';
  if (byProblem < 15) return 'dev-problems';
  return 'train';
}

/**
 * Problems of one split, solvable by construction: numbers are drawn, combined at random, and the value reached is
 * the target. No two have the same numbers (in any order) and target.
 * @throws RangeError when the split is unknown or has too few problems under these options.
 */
export function generateCountdown(
  { split, count, seed }: GenerateOptions,
  settings: CountdownOptions = countdownOptions,
): CountdownProblem[] {
  if (!(countdownSplits as readonly string[]).includes(split)) {
    throw new RangeError(`Countdown has no split "${split}". It has ${countdownSplits.join(', ')}.`);
  }
  const random = createRandom(seed);
  const seen = new Set<string>();
  const problems: CountdownProblem[] = [];
  let misses = 0;
  while (problems.length < count) {
    const drawn = draw(settings, random);
    const key = drawn && `${sorted(drawn.numbers)}:${drawn.target}`;
    if (drawn === null || key === null || seen.has(key) || splitOf(drawn.numbers, drawn.target) !== split) {
      misses += 1;
      if (misses > MAX_MISSES) throw tooFew(split, count, problems.length, settings);
      continue;
    }
    misses = 0;
    seen.add(key);
    problems.push(countdownProblem(random.shuffle(drawn.numbers), drawn.target));
  }
  return problems;
}

export function countdownProblem(numbers: number[], target: number, id?: string): CountdownProblem {
  return { id: id ?? `cd-${numbers.join('-')}-${target}`, data: { numbers, target } };
}

/** Null when the random attempt ends outside the options. */
function draw(options: CountdownOptions, random: Random): { numbers: number[]; target: number } | null {
  const numbers = Array.from(
    { length: options.numbers },
    () => options.min + random.int(options.max - options.min + 1),
  );
  const items = [...numbers];
  while (items.length > 1) {
    const pair = [takeAny(items, random), takeAny(items, random)].sort((x, y) => y - x) as [number, number];
    const results = resultsOf(...pair, options);
    if (results.length === 0) return null;
    items.push(random.pick(results));
  }
  const target = items[0] as number;
  return target >= options.minTarget && target <= options.maxTarget ? { numbers, target } : null;
}

function takeAny(items: number[], random: Random): number {
  return items.splice(random.int(items.length), 1)[0] as number;
}

/** What a ≥ b can become under the options: whole, not negative, not above `largest`. */
function resultsOf(a: number, b: number, { operators, largest }: CountdownOptions): number[] {
  const results: number[] = [];
  if (operators.includes('+')) results.push(a + b);
  if (operators.includes('-')) results.push(a - b);
  if (operators.includes('*')) results.push(a * b);
  if (operators.includes('/') && b !== 0 && a % b === 0) results.push(a / b);
  return results.filter((value) => value <= largest);
}

function tooFew(split: string, count: number, found: number, options: CountdownOptions): RangeError {
  const { numbers, min, max, minTarget, maxTarget } = options;
  return new RangeError(
    `Split "${split}" has only about ${found} different problems with ${numbers} numbers from ${min} to ${max} and ` +
      `targets from ${minTarget} to ${maxTarget}, but ${count} were asked for. Ask for fewer or widen the ranges.`,
  );
}

function sorted(numbers: readonly number[]): number[] {
  return [...numbers].sort((a, b) => a - b);
}

/** First four bytes of SHA-256, big endian, modulo 100. */
function bucket(text: string): number {
  const bytes = sha256(utf8ToBytes(text));
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) % 100;
}
