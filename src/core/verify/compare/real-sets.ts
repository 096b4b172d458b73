import { type Expression, some, variablesOf } from '../expression.ts';
import { UndefinedError } from '../limits.ts';
import * as ball from '../numbers/ball.ts';
import { newContext } from '../numbers/ball.ts';
import { exactReal } from '../numbers/exact.ts';
import { compare as compareFractions } from '../numbers/fraction.ts';
import { approximately } from '../numbers/probe.ts';
import type { Value } from '../values.ts';
import { different, equal, type Options, unknown, type Verdict } from '../verdict.ts';
import { compareScalars } from './compare-scalar.ts';

/** An end of an interval on the real line. */
interface End {
  at: Expression;
  closed: boolean;
}

interface Interval {
  low: End;
  high: End;
}

/** Values that can be sets of real numbers. */
export function isSetOfReals(value: Value): boolean {
  if (value.kind === 'tuple')
    return value.items.length === 2 && value.open !== '⟨' && value.items.every(({ kind }) => kind === 'scalar');
  return value.kind === 'set' || value.kind === 'union' || value.kind === 'named';
}

/** Unions of intervals and points, whatever the order and however they are cut: (0,1) ∪ [1,2) is (0,2). */
export function compareUnions(gold: Value, prediction: Value, options: Options): Verdict {
  if (gold.kind === 'named' && prediction.kind === 'named') {
    return gold.name === prediction.name ? equal('the same set') : different('another set');
  }
  const g = intervalsOf(gold, options);
  const p = intervalsOf(prediction, options);
  if (g === null || p === null) {
    if (isPoint(gold, options) || isPoint(prediction, options)) return different('a point in place of a set');
    return unknown('the sets could not be worked out');
  }
  if (g.length !== p.length) return different('another set');
  for (const [index, interval] of g.entries()) {
    const other = p[index] as Interval;
    for (const end of ['low', 'high'] as const) {
      if (interval[end].closed !== other[end].closed) return different('other ends of an interval');
      const verdict = compareScalars(interval[end].at, other[end].at, options);
      if (verdict.equal !== true) return verdict;
    }
  }
  return equal('the same set');
}

/** `(3, 1)` is no interval. */
function isPoint(value: Value, options: Options): boolean {
  if (value.kind !== 'tuple') return false;
  const [low, high] = value.items;
  if (low?.kind !== 'scalar' || high?.kind !== 'scalar') return true;
  return (compareNumbers(low.expression, high.expression, options) ?? -1) > 0;
}

/** Disjoint intervals in order; null where that cannot be worked out. */
function intervalsOf(value: Value, options: Options): Interval[] | null {
  const parts = value.kind === 'union' ? value.parts : [value];
  let intervals: Interval[] = [];
  for (const part of parts) {
    const more = simpleIntervals(part, options);
    if (more === null) return null;
    intervals.push(...more);
  }
  const merged = merge(intervals, options);
  if (merged === null || value.kind !== 'union') return merged;
  intervals = merged;
  for (const part of value.removed) {
    const points = simpleIntervals(part, options);
    if (points === null) return null;
    for (const { low, high } of points) {
      const single = low.at === high.at;
      const next = single
        ? withoutPoint(intervals, low.at, options)
        : withoutInterval(intervals, { low, high }, options);
      if (next === null) return null;
      intervals = next;
    }
  }
  return intervals;
}

const INFINITY: Expression = { kind: 'constant', name: 'infinity' };
const MINUS_INFINITY: Expression = { kind: 'negation', of: INFINITY };

function simpleIntervals(value: Value, options: Options): Interval[] | null {
  switch (value.kind) {
    case 'named':
      if (value.name === 'empty') return [];
      if (value.name !== 'R') return null;
      return [{ low: { at: MINUS_INFINITY, closed: false }, high: { at: INFINITY, closed: false } }];
    case 'set':
      return value.items.every((item) => item.kind === 'scalar' && isNumber(item.expression))
        ? value.items.map((item) => {
            const at = (item as Value & { kind: 'scalar' }).expression;
            return { low: { at, closed: true }, high: { at, closed: true } };
          })
        : null;
    case 'tuple': {
      const [low, high] = value.items;
      if (value.items.length !== 2 || low?.kind !== 'scalar' || high?.kind !== 'scalar') return null;
      const [from, to] = [low.expression, high.expression];
      if (!isNumber(from) || !isNumber(to)) return null;
      const order = compareNumbers(from, to, options);
      if (order === null || order >= 0) return null;
      return [{ low: { at: from, closed: value.open === '[' }, high: { at: to, closed: value.close === ']' } }];
    }
    case 'union':
      return intervalsOf(value, options);
    default:
      return null;
  }
}

function isNumber(expression: Expression): boolean {
  return variablesOf(expression).length === 0;
}

function merge(intervals: readonly Interval[], options: Options): Interval[] | null {
  let doubt = false;
  const order = (a: Expression, b: Expression): number => {
    const result = compareNumbers(a, b, options);
    doubt ||= result === null;
    return result ?? 0;
  };
  const sorted = [...intervals].sort(
    (a, b) => order(a.low.at, b.low.at) || Number(b.low.closed) - Number(a.low.closed),
  );
  const merged: Interval[] = [];
  for (const interval of sorted) {
    const last = merged.at(-1);
    const meet = last === undefined ? 1 : order(interval.low.at, last.high.at);
    if (last !== undefined && (meet < 0 || (meet === 0 && (interval.low.closed || last.high.closed)))) {
      const reach = order(interval.high.at, last.high.at);
      if (reach > 0) last.high = interval.high;
      else if (reach === 0) last.high = { at: last.high.at, closed: last.high.closed || interval.high.closed };
    } else merged.push({ ...interval });
  }
  return doubt ? null : merged;
}

function withoutPoint(intervals: readonly Interval[], point: Expression, options: Options): Interval[] | null {
  const result: Interval[] = [];
  for (const { low, high } of intervals) {
    const [a, b] = [compareNumbers(low.at, point, options), compareNumbers(point, high.at, options)];
    if (a === null || b === null) return null;
    const hole: End = { at: point, closed: false };
    if (a < 0 && b < 0) result.push({ low, high: hole }, { low: hole, high });
    else if (a === 0 && b < 0) result.push({ low: hole, high });
    else if (a < 0 && b === 0) result.push({ low, high: hole });
    else if (a > 0 || b > 0) result.push({ low, high });
  }
  return result;
}

/** An end of what is taken away belongs to the rest where it was open, unless that is an infinity. */
function withoutInterval(intervals: readonly Interval[], hole: Interval, options: Options): Interval[] | null {
  const result: Interval[] = [];
  for (const interval of intervals) {
    const before: Interval = { low: interval.low, high: { at: hole.low.at, closed: !hole.low.closed } };
    const after: Interval = { low: { at: hole.high.at, closed: !hole.high.closed }, high: interval.high };
    const sides = [
      compareNumbers(interval.low.at, hole.low.at, options),
      compareNumbers(hole.low.at, interval.high.at, options),
      compareNumbers(interval.low.at, hole.high.at, options),
      compareNumbers(hole.high.at, interval.high.at, options),
    ];
    // Where ends meet, single points may be left: not worked out.
    if (sides.some((side) => side === null)) return null;
    const [fromLow, lowInside, touches, highInside] = sides as number[];
    if (lowInside === undefined || touches === undefined || lowInside >= 0 || touches >= 0) {
      if (lowInside === 0 || touches === 0) return null;
      result.push(interval);
      continue;
    }
    if ((fromLow === 0 && infinity(hole.low.at) === 0) || (highInside === 0 && infinity(hole.high.at) === 0))
      return null;
    if (fromLow !== undefined && fromLow < 0) result.push(before);
    if (highInside !== undefined && highInside < 0) result.push(after);
  }
  return result;
}

/** The sign of a - b, also for infinities; null when it cannot be told. */
export function compareNumbers(a: Expression, b: Expression, options: Options): number | null {
  const [rankA, rankB] = [infinity(a), infinity(b)];
  if (rankA === null || rankB === null) return null;
  if (rankA !== 0 || rankB !== 0) return Math.sign(rankA - rankB);
  try {
    const [x, y] = [exactReal(a, options.budget), exactReal(b, options.budget)];
    if (x !== null && y !== null) return compareFractions(x, y);
  } catch (error) {
    if (error instanceof UndefinedError) return null;
    throw error;
  }
  if (compareScalars(a, b, { ...options, strict: true }).equal === true) return 0;
  const context = newContext(192, options.budget);
  const meaning = { assignment: new Map(), realOnly: true, logBase: 10 } as const;
  const [x, y] = [approximately(a, meaning, context), approximately(b, meaning, context)];
  if (x === null || y === null || x === 'undefined' || y === 'undefined') return null;
  const order = ball.sign(ball.subtract(context, x.re, y.re));
  return order === 0 ? null : order;
}

/** 1 for ∞, -1 for -∞, 0 for a number, null for a calculation with infinity. */
function infinity(expression: Expression): number | null {
  if (expression.kind === 'constant' && expression.name === 'infinity') return 1;
  if (expression.kind === 'negation') {
    const of = infinity(expression.of);
    return of === null ? null : -of;
  }
  const inside = some(expression, (part) => part.kind === 'constant' && part.name === 'infinity');
  return inside ? null : 0;
}
