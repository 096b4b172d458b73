import { type Expression, literalBits, variablesOf } from '../expression.ts';
import { type Budget, MAX_PRECISION } from '../limits.ts';
import * as ball from '../numbers/ball.ts';
import { newContext } from '../numbers/ball.ts';
import type { Complex } from '../numbers/complex.ts';
import * as c from '../numbers/complex.ts';
import type { Meaning } from '../numbers/evaluate.ts';
import type { Gaussian } from '../numbers/exact.ts';
import { bitLength, isEqual, multiply } from '../numbers/fraction.ts';
import { firstPoints, furtherPoints, wholePoints } from '../numbers/points.ts';
import {
  approximately,
  compareValues,
  ENOUGH,
  exactly,
  hasImaginary,
  isCancelled,
  THOROUGH,
} from '../numbers/probe.ts';

/** Points that are looked at when all have values. */
const POINTS = 12;

/** The two values at one point. */
interface Pair {
  a: Complex;
  b: Complex;
  exact: { a: Gaussian; b: Gaussian } | null;
}

/**
 * Is first = k · second for one constant k ≠ 0? The sign of k, 0 for a k that is not real, null when there is none,
 * 'unknown' when it cannot be told. For equations and inequalities, whose sides were brought to one.
 */
export function proportion(first: Expression, second: Expression, budget: Budget): 1 | -1 | 0 | null | 'unknown' {
  const names = [...new Set([...variablesOf(first), ...variablesOf(second)])].sort();
  const realOnly = !hasImaginary(first) && !hasImaginary(second);
  const literals = Math.max(literalBits(first, bitLength), literalBits(second, bitLength));
  const context = newContext(Math.min(MAX_PRECISION, THOROUGH + 2 * literals), budget);
  const compare = (x: Complex, y: Complex): boolean | null => {
    const finding = compareValues(x, y, context);
    return finding === 'unknown' ? null : finding === 'equal';
  };
  /** Whether both pairs have the same ratio, as a · b' = b · a'; null when it cannot be told. */
  const sameRatio = (p: Pair, q: Pair): boolean | null => {
    if (p.exact === null || q.exact === null || p.exact.a.im.n !== 0n || p.exact.b.im.n !== 0n) {
      return compare(c.multiply(context, p.a, q.b), c.multiply(context, p.b, q.a));
    }
    return isEqual(multiply(p.exact.a.re, q.exact.b.re), multiply(p.exact.b.re, q.exact.a.re));
  };
  let reference: Pair | null = null;
  let constant = true;
  let agreeing = 0;
  for (const assignment of [...firstPoints(names), ...furtherPoints(names), ...wholePoints(names)]) {
    const meaning: Meaning = { assignment, realOnly, logBase: 10 };
    const [a, b] = [approximately(first, meaning, context), approximately(second, meaning, context)];
    if (a === null || b === null || a === 'undefined' || b === 'undefined') continue;
    if (isCancelled(a) !== isCancelled(b)) return null;
    if (isCancelled(a)) continue;
    const [x, y] = [exactly(first, assignment, budget), exactly(second, assignment, budget)];
    const exact = x === null || y === null || x === 'undefined' || y === 'undefined' ? null : { a: x, b: y };
    const pair: Pair = { a, b, exact };
    reference ??= pair;
    const same = sameRatio(pair, reference);
    if (same === false) return null;
    if (same === null) return 'unknown';
    constant &&= compare(a, reference.a) === true;
    agreeing += 1;
    if (agreeing >= POINTS) break;
  }
  // x = x + 1 and x = x + 2: two that never hold are not one relation.
  if (reference === null || constant || agreeing < ENOUGH) return 'unknown';
  const factor = c.divide(context, reference.a, reference.b);
  return ball.touchesZero(factor.im) ? (ball.sign(factor.re) as 1 | -1 | 0) : 0;
}
