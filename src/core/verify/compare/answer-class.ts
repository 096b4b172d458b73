import { type Expression, some, variablesOf } from '../expression.ts';
import { type Budget, newBudget } from '../limits.ts';
import * as ball from '../numbers/ball.ts';
import { newContext } from '../numbers/ball.ts';
import type { Complex } from '../numbers/complex.ts';
import { exactValue } from '../numbers/exact.ts';
import { bitLength, type Fraction, reduce } from '../numbers/fraction.ts';
import { firstPoints, furtherPoints, wholePoints } from '../numbers/points.ts';
import { approximately, hasImaginary } from '../numbers/probe.ts';
import { assignedValues, isName } from '../parse/names.ts';
import { parseAnswer } from '../parse/parse-answer.ts';
import { statementsOf } from '../parse/statements.ts';
import { foldText } from '../parse/text.ts';
import type { Scalar, Value } from '../values.ts';

/** Digits of a rounded value in a key. */
const KEY_DIGITS = 12;
/** Points that stand for a function. */
const KEY_POINTS = 3;
/** Longer keys are cut; the length goes into the key. */
const MAX_KEY = 400;

/**
 * A key that answers of the same value normally share: for majority votes and for telling wrong answers apart, not
 * for verdicts. Exact numbers are exact, other numbers and functions are rounded values, texts are folded.
 * Never throws.
 */
export function answerClass(answer: string): string {
  const parsed = parseAnswer(answer);
  if (parsed.ok) {
    try {
      return cut(keyOf(parsed.value, newBudget()));
    } catch {
      return cut(`text:${parsed.text.replace(/\s+/g, '')}`);
    }
  }
  const folded = foldText(answer.slice(0, 4 * MAX_KEY)).folded;
  return cut(`text:${folded === '' ? answer.trim().slice(0, MAX_KEY) : folded}`);
}

function cut(key: string): string {
  return key.length <= MAX_KEY ? key : `${key.slice(0, MAX_KEY)}…${key.length}:${checksum(key)}`;
}

function checksum(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}

function keyOf(value: Value, budget: Budget): string {
  const key = (part: Value): string => keyOf(part, budget);
  const statements = statementsOf(value);
  if (statements !== null)
    return `{${statements.all
      .map((one) => `${one.name}=${key(one.value)}`)
      .sort()
      .join(';')}}`;
  switch (value.kind) {
    case 'scalar':
      return scalarKey(value, budget);
    case 'text':
      return `text:${/^[a-j]$/.test(value.folded) ? value.folded.toUpperCase() : value.folded}`;
    case 'choice':
      return `text:${value.letter}`;
    case 'list':
    case 'set':
      return `{${[...new Set(assignedValues(value.items).map(key))].sort().join(';')}}`;
    case 'tuple':
      return `${value.open}${value.items.map(key).join(';')}${value.close}`.replace(/⟨/g, '(').replace(/⟩/g, ')');
    case 'union':
      return `${value.parts.map(key).sort().join('∪')}${value.removed.map((part) => `∖${key(part)}`).join('')}`;
    case 'matrix':
      return `${value.determinant ? 'det' : 'matrix'}[${value.rows.map((row) => row.map(key).join(';')).join('|')}]`;
    case 'chain':
      return chainKey(value, budget);
    case 'ratio': {
      const [first] = value.parts;
      if (first === undefined) return 'ratio';
      return `ratio:${value.parts.map((part) => expressionKey({ kind: 'quotient', top: part, bottom: first }, budget)).join(':')}`;
    }
    case 'based':
      return `${value.digits}_${value.base}`;
    case 'builder':
      return `{${key(value.element)}|${key(value.condition)}}`;
    case 'named':
      return value.name === 'empty' ? '{}' : `set:${value.name}`;
  }
}

/** `x = 5` counts as 5; other relations by their parts. */
function chainKey(chain: Value & { kind: 'chain' }, budget: Budget): string {
  const [first, ...rest] = chain.parts;
  const last = rest.at(-1);
  const naming = chain.relations.every((relation) => relation === '=' || relation === 'in');
  if (first !== undefined && last !== undefined && naming && isName(first)) return keyOf(last, budget);
  const down = chain.relations.some((relation) => relation === '>' || relation === '>=');
  const parts = chain.parts.map((part) => keyOf(part, budget));
  const relations = chain.relations.map((relation) => relation.replace('>', '<'));
  if (down) {
    parts.reverse();
    relations.reverse();
  }
  return parts.map((part, index) => `${part}${relations[index] ?? ''}`).join('');
}

function scalarKey(value: Scalar, budget: Budget): string {
  return expressionKey(value.expression, budget);
}

function expressionKey(expression: Expression, budget: Budget): string {
  if (some(expression, (part) => part.kind === 'constant' && part.name === 'infinity')) {
    if (expression.kind === 'constant') return '∞';
    if (expression.kind === 'negation' && expression.of.kind === 'constant') return '-∞';
    throw new RangeError('it calculates with infinity');
  }
  const exact = exactValue(expression, budget);
  const [re, im] = exact === null ? [null, null] : [reduce(exact.re), reduce(exact.im)];
  if (re !== null && im !== null) return im.n === 0n ? fractionKey(re) : `${fractionKey(re)}+${fractionKey(im)}i`;
  const names = variablesOf(expression);
  // A lone letter may be a choice as well.
  if (expression.kind === 'variable') return `text:${expression.name}`;
  const points =
    names.length === 0 ? [new Map()] : [...firstPoints(names), ...furtherPoints(names), ...wholePoints(names)];
  const values: string[] = [];
  const context = newContext(128, budget);
  const realOnly = names.length > 0 && !hasImaginary(expression);
  for (const assignment of points) {
    const found = approximately(expression, { assignment, realOnly, logBase: 10 }, context);
    if (found !== null && found !== 'undefined') values.push(complexKey(found));
    if (values.length >= (names.length === 0 ? 1 : KEY_POINTS)) break;
  }
  if (values.length === 0) throw new RangeError('it has no value');
  return names.length === 0 ? `≈${values[0]}` : `f(${names.join()})≈${values.join(';')}`;
}

/** Numbers too long to print fast are given by size and leading digits. */
function fractionKey({ n, d }: Fraction): string {
  const text = bitLength(n) < 2_000 && bitLength(d) < 2_000 ? `${n}/${d}` : `${n.toString(16)}/${d.toString(16)}`;
  return text.endsWith('/1') ? text.slice(0, -2) : text;
}

function complexKey(value: Complex): string {
  const rounded = (part: ball.Ball): string => (ball.touchesZero(part) ? '0' : scientific(part));
  return ball.touchesZero(value.im) ? rounded(value.re) : `${rounded(value.re)}+${rounded(value.im)}i`;
}

/** Twelve digits where a double reaches, else mantissa and power of two. */
function scientific(part: ball.Ball): string {
  const top = ball.magnitude(part);
  if (Math.abs(top) < 900) return ball.toNumber(part).toExponential(KEY_DIGITS - 1);
  return `${ball.toNumber({ ...part, e: part.e - top }).toExponential(KEY_DIGITS - 1)}p${top}`;
}
