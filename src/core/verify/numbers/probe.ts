import { type Expression, literalBits, some, variablesOf } from '../expression.ts';
import { type Budget, LimitError, MAX_PRECISION, UndefinedError } from '../limits.ts';
import * as ball from './ball.ts';
import { type Context, newContext } from './ball.ts';
import type { Complex } from './complex.ts';
import * as c from './complex.ts';
import { evaluate, type Meaning } from './evaluate.ts';
import { type Assignment, exactValue, type Gaussian, sameValue } from './exact.ts';
import { bitLength } from './fraction.ts';
import { firstPoints, furtherPoints, wholePoints } from './points.ts';

/** What the numbers say about two expressions. `narrower`: equal, but the second is undefined where the first is not. */
export type Finding = 'equal' | 'different' | 'narrower' | 'unknown' | 'first undefined' | 'second undefined';

/** Bits of the first look. Different numbers nearly always differ here. */
const QUICK = 128;
/** Bits of the confirmation, plus what the numbers themselves need. */
export const THOROUGH = 320;
/** Points at which two functions must agree. */
export const ENOUGH = 3;
/** Numbers whose cancelling was not seen are taken for small. */
const MAX_CANCELLED = 0;
/** Points that are confirmed at the higher precision. */
const CONFIRMED = 2;

type LogBase = Meaning['logBase'];

/** Compares two scalars, as numbers when neither has a variable, else as functions of their variables. */
export function probe(first: Expression, second: Expression, budget: Budget, logBase: LogBase = 10): Finding {
  const names = [...new Set([...variablesOf(first), ...variablesOf(second)])].sort();
  if (names.length === 0)
    return compareAt(first, second, { assignment: new Map(), realOnly: false, logBase }, budget, true);
  const realOnly = !hasImaginary(first) && !hasImaginary(second);
  const found = { equal: 0, narrower: 0 };
  const steps = [first, second].some((side) => some(side, isStep));
  const tiers = steps ? [withWholePoints, furtherPoints] : [firstPoints, furtherPoints, wholePoints];
  for (const tier of tiers) {
    for (const assignment of tier(names)) {
      const meaning: Meaning = { assignment, realOnly, logBase };
      const finding = compareAt(first, second, meaning, budget, found.equal < CONFIRMED);
      if (finding === 'different') return 'different';
      if (finding === 'equal') found.equal += 1;
      if (finding === 'second undefined') found.narrower += 1;
    }
    if (found.equal >= ENOUGH) return found.narrower > 0 ? 'narrower' : 'equal';
  }
  return 'unknown';
}

/** Floor and ceiling may differ at whole numbers only. */
function isStep(part: Expression): boolean {
  return part.kind === 'call' && (part.name === 'floor' || part.name === 'ceil');
}

function withWholePoints(names: readonly string[]): Assignment[] {
  return [...firstPoints(names), ...wholePoints(names)];
}

export function hasImaginary(expression: Expression): boolean {
  return some(
    expression,
    (part) => (part.kind === 'constant' && part.name === 'i') || (part.kind === 'call' && part.name === 'cis'),
  );
}

function compareAt(first: Expression, second: Expression, meaning: Meaning, budget: Budget, confirm: boolean): Finding {
  const a = exactly(first, meaning.assignment, budget);
  const b = exactly(second, meaning.assignment, budget);
  if (a === 'undefined') return 'first undefined';
  if (b === 'undefined') return 'second undefined';
  if (a !== null && b !== null) return sameValue(a, b) ? 'equal' : 'different';
  const quick = compareApproximately(first, second, meaning, newContext(QUICK, budget));
  if (quick.finding !== 'unknown' && (quick.finding !== 'equal' || !confirm)) return quick.finding;
  const literals = Math.max(literalBits(first, bitLength), literalBits(second, bitLength));
  // 1 + ε and its expansions differ by small powers of ε: three times the bits that ε itself needs.
  const needed = THOROUGH + 2 * literals + quick.gap + quick.angle;
  const precision = Math.min(MAX_PRECISION, Math.ceil((needed + 2 * quick.gap) / 64) * 64);
  const { finding } = compareApproximately(first, second, meaning, newContext(precision, budget));
  return finding === 'equal' && needed > MAX_PRECISION ? 'unknown' : finding;
}

export function exactly(expression: Expression, assignment: Assignment, budget: Budget): Gaussian | null | 'undefined' {
  try {
    return exactValue(expression, budget, assignment);
  } catch (error) {
    if (error instanceof UndefinedError) return 'undefined';
    throw error;
  }
}

function compareApproximately(
  first: Expression,
  second: Expression,
  meaning: Meaning,
  context: Context,
): { finding: Finding; gap: number; angle: number } {
  const a = approximately(first, meaning, context);
  const b = approximately(second, meaning, context);
  const { gap, angle } = context;
  if (a === 'undefined') return { finding: 'first undefined', gap, angle };
  if (b === 'undefined') return { finding: 'second undefined', gap, angle };
  if (a === null || b === null) return { finding: 'unknown', gap, angle };
  return { finding: compareValues(a, b, context), gap, angle };
}

/** Balls that do not touch differ. Balls that touch are equal if they are small against the numbers involved. */
export function compareValues(a: Complex, b: Complex, context: Context): Finding {
  const { scale: cancelled } = context;
  const difference = c.add(context, a, c.negate(b));
  if (!ball.touchesZero(difference.re) || !ball.touchesZero(difference.im)) return 'different';
  const error = Math.max(ball.uncertainty(difference.re), ball.uncertainty(difference.im));
  const size = Math.max(ball.magnitude(a.re), ball.magnitude(a.im), ball.magnitude(b.re), ball.magnitude(b.im));
  // Two zeros are judged by the numbers that cancelled, everything else by its own size.
  const scale = isCancelled(a) && isCancelled(b) ? Math.min(cancelled, MAX_CANCELLED) : size;
  return error === Number.NEGATIVE_INFINITY || error < scale - context.precision / 2 ? 'equal' : 'unknown';
}

export function isCancelled(a: Complex): boolean {
  return ball.touchesZero(a.re) && ball.touchesZero(a.im);
}

/** Null where a cap stops it. @throws LimitError only when the whole budget is spent */
export function approximately(
  expression: Expression,
  meaning: Meaning,
  context: Context,
): Complex | null | 'undefined' {
  try {
    return evaluate(expression, context, meaning);
  } catch (error) {
    if (error instanceof UndefinedError) return 'undefined';
    if (error instanceof LimitError && context.budget.left >= 0) return null;
    throw error;
  }
}
