import { z } from 'zod';
import { evaluateExpression, expressionNumbers, expressionValue, normalForm, parseExpression } from '../expression.ts';
import { type Json, ProblemRowError, type Verdict } from '../problem.ts';
import { isEqual, rational, rationalText } from '../rational.ts';
import type { Task, TaskDefinition, TaskOptions } from '../task.ts';
import { lastBox } from './boxed.ts';
import {
  type CountdownOptions,
  type CountdownProblem,
  countdownProblem,
  countdownOptions as defaults,
  generateCountdown,
} from './countdown-problems.ts';
import { scriptCountdown } from './countdown-script.ts';
import {
  BOX,
  type Equation,
  parseBackLine,
  parseCheckLine,
  parseFinalStep,
  parseStepLine,
  promptText,
  stateText,
} from './countdown-text.ts';

const MIN_NUMBERS = 2;
const MAX_NUMBERS = 6;

const options = z
  .strictObject({
    name: z.literal('countdown'),
    numbers: z.int().min(MIN_NUMBERS).max(MAX_NUMBERS).default(defaults.numbers),
    min: z.int().min(1).default(defaults.min),
    max: z.int().min(2).max(999).default(defaults.max),
    minTarget: z.int().min(1).default(defaults.minTarget),
    maxTarget: z.int().max(9999).default(defaults.maxTarget),
    operators: z
      .string()
      .regex(/^[-+*/]+$/)
      .default(defaults.operators),
    largest: z.int().min(1).default(defaults.largest),
  })
  .refine((t) => t.min <= t.max, { path: ['min'], error: 'must not be larger than max' })
  .refine((t) => t.minTarget <= t.maxTarget, { path: ['minTarget'], error: 'must not be larger than maxTarget' });

export const countdownTask: TaskDefinition<CountdownOptions & TaskOptions> = {
  name: 'countdown',
  options,
  create: (settings) => ({ ...countdown, generate: (request) => generateCountdown(request, settings) }),
};

/** Countdown and, with target 24, Game of 24. One step is one operation, so n numbers take n - 1 steps. */
export const countdown: Task<CountdownProblem> = {
  name: 'countdown',
  version: 1,
  parseRow,
  generate: (request) => generateCountdown(request),
  family: ({ data }) => [...data.numbers].sort((a, b) => a - b).join(','),
  identity: (problem) => `${countdown.family(problem)}:${problem.data.target}`,
  kinds: (problem) => [
    { name: 'the same numbers', value: countdown.family(problem) },
    { name: 'the same target', value: `${problem.data.target}` },
    { name: 'as many numbers', value: `${problem.data.numbers.length}` },
  ],
  statement: ({ data }) => promptText(data.numbers, data.target).trim(),
  prompt: ({ data }) => [{ role: 'user', content: promptText(data.numbers, data.target) }],

  stepStops: ({ data }, steps) => (steps.length < data.numbers.length - 2 ? ['\n'] : []),
  keepsStop: true,
  answerStops: [],

  splitSteps({ data }, text) {
    const steps: string[] = [];
    let rest = text;
    while (steps.length < data.numbers.length - 2 && rest.includes('\n')) {
      const end = rest.indexOf('\n') + 1;
      steps.push(rest.slice(0, end));
      rest = rest.slice(end);
    }
    if (rest !== '') steps.push(rest);
    return steps;
  },

  /** Also where a step ended before its stop string: the model ended the text there, or its token limit did. */
  isTerminal({ data }, steps) {
    return steps.length >= data.numbers.length - 1 || (steps.length > 0 && !steps.at(-1)?.endsWith('\n'));
  },

  verify,
  readAttempt,
  answerClass,
  isSound,

  phrases: {
    withoutAnswer: (step) => {
      const line = step.split('\n', 1)[0];
      return `${line}\n`;
    },
    backtrack: ({ data }, steps) => {
      const line = parseStepLine(steps.at(-1) ?? '');
      return `Wait go back to ${stateText(line?.left ?? data.numbers, data.target)}\n`;
    },
    restart: ({ data }) => `Wait start over with ${stateText(data.numbers, data.target)}\n`,
    reflectPositive: () => 'Looks right so far\n',
    backtrackMarker: 'Wait',
  },
  script: scriptCountdown,
};

/** `{ id?, numbers, target }`; other fields (a solution, statistics of people) are ignored. */
function parseRow(row: Json): CountdownProblem {
  if (row === null || typeof row !== 'object' || Array.isArray(row)) {
    throw new ProblemRowError('A Countdown row is an object { "numbers": [4, 9, 3], "target": 39 }.');
  }
  const { id, numbers, target } = row;
  if (!isNumberList(numbers)) {
    throw new ProblemRowError(`"numbers" must be ${MIN_NUMBERS} to ${MAX_NUMBERS} positive whole numbers.`);
  }
  if (!isWhole(target)) throw new ProblemRowError('"target" must be a whole number, 0 or more.');
  if (id !== undefined && (typeof id !== 'string' || id === '')) {
    throw new ProblemRowError('"id" must be a text that is not empty, or left out.');
  }
  return countdownProblem(numbers, target, id);
}

function verify({ data }: CountdownProblem, text: string): Verdict {
  const box = lastBox(text, BOX);
  if (box === null) return { correct: false, reason: 'no boxed answer' };
  const answer = box.content.trim();
  const result = evaluateExpression(answer);
  if ('error' in result) return { correct: false, answer, reason: `not an expression: ${result.error}` };
  const misuse = misuseOf(data.numbers, result.numbers);
  if (misuse !== null) return { correct: false, answer, reason: misuse };
  const correct = isEqual(result.value, rational(data.target));
  const made = `makes ${rationalText(result.value)}`;
  return { correct, answer, reason: correct ? made : `${made}, not ${data.target}` };
}

/**
 * What a failed attempt's check line reaches. It is right if it is the target and every line on the way there is true,
 * from the numbers given or from a state that true lines had reached.
 */
function readAttempt({ data }: CountdownProblem, before: string, attempt: string): Verdict | null {
  if (attempt.includes(BOX)) return null;
  let items: number[] | null = data.numbers;
  let verdict: Verdict | null = null;
  const reached = [data.numbers];
  const first = before.split('\n').length - 1;
  for (const [number, line] of (before + attempt).split('\n').entries()) {
    const back = parseBackLine(line);
    const step = parseStepLine(`${line}\n`);
    const check = parseCheckLine(line);
    if (back !== null) items = reached.find((state) => isSameMultiset(state, back)) ?? null;
    else if (step !== null) {
      const after: number[] | null = items && afterEquation(items, step);
      items = after !== null && isSameMultiset(after, step.left) ? step.left : null;
      if (items !== null) reached.push(items);
    } else if (check !== null && number >= first) {
      const isTrue = items !== null && afterEquation(items, check)?.length === 1;
      verdict = { correct: isTrue && check.result === data.target, answer: `${check.result}`, reason: line };
    }
  }
  return verdict ?? { correct: false, reason: 'states no answer' };
}

/** The first number that is used too often or not at all, in words; null when each is used exactly once. */
function misuseOf(given: readonly number[], used: readonly number[]): string | null {
  for (const number of new Set([...used, ...given])) {
    const times = count(used, number);
    const allowed = count(given, number);
    if (allowed === 0) return `uses ${number}, which is not given`;
    if (times === 0) return `does not use ${number}`;
    if (times > allowed) return `uses ${number} ${timesText(times)}`;
    if (times < allowed) return `uses ${number} ${timesText(times)}, not ${timesText(allowed)}`;
  }
  return null;
}

/**
 * A right answer is its expression in normal form: different ways to the target are different solutions. A wrong
 * answer is the value it reaches: that number is what the attempt answers, and no trace should fail at it twice.
 */
function answerClass({ data }: CountdownProblem, answer: string): string {
  const expression = parseExpression(answer);
  if ('error' in expression) return `text ${answer.replace(/\s+/g, ' ').trim()}`;
  const value = expressionValue(expression);
  if (value === null) return 'undefined';
  const isRight =
    isEqual(value, rational(data.target)) && misuseOf(data.numbers, expressionNumbers(expression)) === null;
  return isRight ? `${data.target} = ${normalForm(expression)}` : rationalText(value);
}

/**
 * Whether every line is true: its equation holds, its operands were left, what it leaves is right (in any order), it
 * restates the target, its verdict agrees, and the boxed expression uses the numbers to make the last line's value.
 * Whole numbers only: a line cannot write a negative or fractional result.
 */
function isSound({ data }: CountdownProblem, steps: readonly string[]): boolean {
  let items: number[] | null = data.numbers;
  for (const step of steps.slice(0, -1)) {
    const line = parseStepLine(step);
    if (line === null || line.target !== data.target) return false;
    items = afterEquation(items, line);
    if (items === null || !isSameMultiset(items, line.left)) return false;
  }
  const final = parseFinalStep(steps.at(-1) ?? '');
  if (final === null || final.target !== data.target) return false;
  items = afterEquation(items, final);
  if (items?.length !== 1 || final.isTarget !== (final.result === data.target)) return false;
  const boxed = evaluateExpression(final.expression);
  if ('error' in boxed) return false;
  return isEqual(boxed.value, rational(final.result)) && misuseOf(data.numbers, boxed.numbers) === null;
}

/** What is left after an operation; null when an operand is missing or the equation is false. */
function afterEquation(items: readonly number[], { a, operator, b, result }: Equation): number[] | null {
  const left = without(without(items, a), b);
  if (left === null) return null;
  const exact = evaluateExpression(`${a}${operator}${b}`);
  return !('error' in exact) && isEqual(exact.value, rational(result)) ? [...left, result] : null;
}

function without(items: readonly number[] | null, item: number): number[] | null {
  const at = items?.indexOf(item) ?? -1;
  return items === null || at < 0 ? null : items.toSpliced(at, 1);
}

function isSameMultiset(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((item) => count(a, item) === count(b, item));
}

function count(items: readonly number[], item: number): number {
  return items.filter((other) => other === item).length;
}

function timesText(times: number): string {
  return times === 1 ? 'once' : times === 2 ? 'twice' : `${times} times`;
}

function isNumberList(value: Json | undefined): value is number[] {
  if (!Array.isArray(value) || value.length < MIN_NUMBERS || value.length > MAX_NUMBERS) return false;
  return value.every((number) => isWhole(number) && number > 0);
}

function isWhole(value: Json | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
