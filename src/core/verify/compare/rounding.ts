import { type Decimal, type Expression, variablesOf } from '../expression.ts';
import { LimitError, newBudget } from '../limits.ts';
import * as ball from '../numbers/ball.ts';
import { newContext } from '../numbers/ball.ts';
import * as c from '../numbers/complex.ts';
import * as f from '../numbers/fraction.ts';
import { approximately } from '../numbers/probe.ts';
import type { Value } from '../values.ts';

/** How a literal decimal, with or without a sign, is written. */
export function decimalLiteral(expression: Expression): Decimal | null {
  if (expression.kind === 'negation') return decimalLiteral(expression.of);
  return expression.kind === 'number' ? (expression.written ?? null) : null;
}

/**
 * Is the second value the first one, said again: rounded to the places it has, or in per cent? `whole`: also rounded
 * to a whole number or to one digit, as after ≈.
 */
export function restates(exact: Value, again: Value, whole: boolean): boolean {
  if (exact.kind !== 'scalar' || again.kind !== 'scalar' || variablesOf(exact.expression).length > 0) return false;
  const percent = again.unit?.name === 'percent' && exact.unit?.name !== 'percent';
  const literal = again.expression.kind === 'negation' ? again.expression.of : again.expression;
  if (literal.kind !== 'number') return false;
  const written = decimalLiteral(again.expression);
  if (written === null && !whole && !percent) return false;
  if (written !== null && written.significant < 2 && !whole) return false;
  const places = (written?.places ?? 0) + (percent ? 2 : 0);
  // Half of the last place, unless 75% is meant to be exact.
  const half =
    percent && written === null && !whole
      ? f.fraction(0n)
      : f.divide(f.power(f.fraction(10n), BigInt(-places)), f.fraction(2n));
  return isWithin(exact.expression, percent ? hundredth(again.expression) : again.expression, half);
}

function hundredth(expression: Expression): Expression {
  return { kind: 'quotient', top: expression, bottom: { kind: 'number', value: f.fraction(100n) } };
}

function isWithin(a: Expression, b: Expression, distance: f.Fraction): boolean {
  try {
    const context = newContext(192, newBudget());
    const meaning = { assignment: new Map(), realOnly: false, logBase: 10 } as const;
    const [x, y] = [approximately(a, meaning, context), approximately(b, meaning, context)];
    if (x === null || y === null || x === 'undefined' || y === 'undefined' || !c.isReal(x)) return false;
    const error = ball.absolute(ball.subtract(context, x.re, y.re));
    return ball.sign(ball.subtract(context, ball.fromFraction(context, distance), error)) >= 0;
  } catch (error) {
    if (error instanceof LimitError) return false;
    throw error;
  }
}
