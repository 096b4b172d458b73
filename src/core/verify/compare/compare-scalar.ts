import { type Expression, rewrite, some, variablesOf } from '../expression.ts';
import { UndefinedError } from '../limits.ts';
import * as ball from '../numbers/ball.ts';
import { newContext } from '../numbers/ball.ts';
import * as c from '../numbers/complex.ts';
import { exactValue, sameValue } from '../numbers/exact.ts';
import type { Fraction } from '../numbers/fraction.ts';
import * as f from '../numbers/fraction.ts';
import { approximately, type Finding, probe } from '../numbers/probe.ts';
import { different, equal, type Options, unknown, type Verdict } from '../verdict.ts';
import { decimalLiteral } from './rounding.ts';

/** A decimal agrees with a number it rounds when they differ by no more than this part of the number. */
const TOLERANCE: Fraction = f.fraction(1n, 1_000_000n);
/** … or, where its last digits differ, by no more than this: digits lost in floating point. */
const FINE_TOLERANCE: Fraction = f.fraction(1n, 1_000_000_000n);
/** Digits which a decimal in place of an irrational number needs: rounded to fewer, it may miss the tolerance. */
const ENOUGH_DIGITS = 7;

/** Compares two scalars, units aside. The order of the methods is the order of their certainty. */
export function compareScalars(gold: Expression, prediction: Expression, options: Options): Verdict {
  const infinite = compareInfinities(gold, prediction);
  if (infinite !== null) return infinite;
  let exactGold: ReturnType<typeof exactValue>;
  try {
    exactGold = exactValue(gold, options.budget);
  } catch (error) {
    if (error instanceof UndefinedError) return unknown(`the gold answer has no value: ${error.message}`);
    throw error;
  }
  let exactPrediction: ReturnType<typeof exactValue>;
  try {
    exactPrediction = exactValue(prediction, options.budget);
  } catch (error) {
    if (error instanceof UndefinedError) return different(`it has no value: ${error.message}`);
    throw error;
  }
  if (exactGold !== null && exactPrediction !== null) {
    if (sameValue(exactGold, exactPrediction)) return evaluated(gold, prediction, options, 'the same number');
    if (exactGold.im.n !== 0n || exactPrediction.im.n !== 0n) return different('another number');
    return compareDecimals(gold, exactGold.re, prediction, exactPrediction.re, options);
  }
  if (sameExpression(gold, prediction)) return equal('the same expression');
  const constant = variablesOf(gold).length === 0 && variablesOf(prediction).length === 0;
  if (constant) {
    const decimal = compareApproximation(gold, prediction, options);
    if (decimal !== null) return decimal;
  }
  const finding = probe(gold, sameConstant(gold, prediction), options.budget);
  if (finding === 'different' && (hasPlainLog(gold) || hasPlainLog(prediction))) {
    const natural = probe(gold, prediction, options.budget, 'e');
    if (natural === 'equal') return unknown('they are equal only if "log" is the natural logarithm');
  }
  const verdict = ofFinding(finding, constant, options);
  return verdict.equal === true ? evaluated(gold, prediction, options, verdict.reason) : verdict;
}

/** The prediction with the gold answer's letter for the constant of integration: + c where the gold answer has + C. */
function sameConstant(gold: Expression, prediction: Expression): Expression {
  const [g, p] = [constantOfIntegration(gold), constantOfIntegration(prediction)];
  if (g === null || p === null || g === p || gold.kind !== 'sum') return prediction;
  if (variablesOf(gold).includes(p) || variablesOf(prediction).includes(g)) return prediction;
  return rewrite(prediction, (part) =>
    part.kind === 'variable' && part.name === p ? { kind: 'variable', name: g } : part,
  );
}

/** C or c as a term of its own, beside a function of x, t, u, y or θ that does not contain it. */
function constantOfIntegration(expression: Expression): 'C' | 'c' | null {
  if (expression.kind !== 'sum') return null;
  const terms = expression.terms.filter((term) => term.kind === 'variable' && (term.name === 'C' || term.name === 'c'));
  const [term] = terms;
  if (terms.length !== 1 || term?.kind !== 'variable') return null;
  const others = expression.terms.filter((part) => part !== term).flatMap(variablesOf);
  const ofFunction = others.some((name) => /^(?:[xtuy]|theta)$/.test(name));
  return ofFunction && !others.includes(term.name) ? (term.name as 'C' | 'c') : null;
}

function ofFinding(finding: Finding, constant: boolean, options: Options): Verdict {
  switch (finding) {
    case 'equal':
      return equal(constant ? 'the same number' : 'equal at all points tried');
    case 'narrower':
      if (options.strict) return unknown('it has no value at some points where the gold answer has one');
      return equal('equal at all points tried where both have a value');
    case 'different':
      return different(constant ? 'another number' : 'another function');
    case 'first undefined':
      return unknown('the gold answer has no value');
    case 'second undefined':
      return different('it has no value');
    default:
      return unknown('the numbers could not be told apart within the limits');
  }
}

function compareInfinities(gold: Expression, prediction: Expression): Verdict | null {
  const isInfinity = (part: Expression): boolean => part.kind === 'constant' && part.name === 'infinity';
  const inGold = some(gold, isInfinity);
  const inPrediction = some(prediction, isInfinity);
  if (!inGold && !inPrediction) return null;
  const signOf = (part: Expression): number => {
    if (isInfinity(part)) return 1;
    return part.kind === 'negation' ? -signOf(part.of) : 0;
  };
  const [g, p] = [signOf(gold), signOf(prediction)];
  if ((inGold && g === 0) || (inPrediction && p === 0)) return unknown('it calculates with infinity');
  return g === p ? equal('both are infinite') : different('one is infinite');
}

/** Both exact and different: a decimal may still be the other number, rounded. */
function compareDecimals(
  gold: Expression,
  g: Fraction,
  prediction: Expression,
  p: Fraction,
  options: Options,
): Verdict {
  const written = decimalLiteral(gold);
  if (written === null || options.strict) return different('another number');
  // A whole number is never a rounding: 0.99999999 is not 1.
  if (f.toInteger(g) !== null || f.toInteger(p) !== null || !isWithin(g, p, TOLERANCE))
    return different('another number');
  const predicted = decimalLiteral(prediction);
  const difference = f.add(g, f.negate(p));
  if (predicted === null || predicted.places > written.places) {
    const rounds = isWithinPlaces(difference, written.places, predicted === null ? 1n : 2n);
    return rounds ? equal('the gold decimal is a rounding of it') : different('another number');
  }
  if (
    written.significant >= 10 &&
    predicted.significant >= ENOUGH_DIGITS &&
    isWithinPlaces(difference, predicted.places, 2n)
  ) {
    return unknown('it gives fewer digits than the gold decimal');
  }
  return different('another number');
}

/** A decimal for a number that is not rational, on either side; null when neither is a literal decimal. */
function compareApproximation(gold: Expression, prediction: Expression, options: Options): Verdict | null {
  const goldDecimal = decimalLiteral(gold);
  const predictedDecimal = decimalLiteral(prediction);
  const written = goldDecimal ?? predictedDecimal;
  if (written === null) return null;
  const [literal, other] = goldDecimal !== null ? [gold, prediction] : [prediction, gold];
  const context = newContext(192, options.budget);
  const meaning = { assignment: new Map(), realOnly: false, logBase: 10 } as const;
  const value = approximately(other, meaning, context);
  const decimal = approximately(literal, meaning, context);
  if (value === null || value === 'undefined' || decimal === null || decimal === 'undefined') return null;
  if (!c.isReal(value)) return null;
  const error = ball.absolute(ball.subtract(context, value.re, decimal.re));
  const atMost = (part: Fraction, of: ball.Ball): boolean =>
    ball.sign(ball.subtract(context, ball.multiply(context, ball.fromFraction(context, part), of), error)) >= 0;
  const size = ball.absolute(value.re);
  // Equal, as √2.25 and 1.5: left to the exact comparison.
  if (ball.touchesZero(error)) return null;
  if (!atMost(TOLERANCE, size)) return different('another number');
  if (options.strict) return different('a decimal in place of an exact answer');
  const lastPlace = f.power(f.fraction(10n), BigInt(-written.places));
  const digitsFit = atMost(lastPlace, ball.ONE) || atMost(FINE_TOLERANCE, size);
  if (!digitsFit) return unknown('a decimal that is close, with wrong digits');
  if (goldDecimal === null && written.significant < ENOUGH_DIGITS) return unknown('a decimal with too few digits');
  return equal('the same number to the digits given');
}

/** |a - b| ≤ part · |b| */
function isWithin(a: Fraction, b: Fraction, part: Fraction): boolean {
  return f.compare(absolute(f.add(a, f.negate(b))), f.multiply(part, absolute(b))) <= 0;
}

/** |difference| ≤ 10^-places / divisor */
function isWithinPlaces(difference: Fraction, places: number, divisor: bigint): boolean {
  const place = f.power(f.fraction(10n), BigInt(-places));
  return f.compare(absolute(difference), f.divide(place, f.fraction(divisor))) <= 0;
}

function absolute(a: Fraction): Fraction {
  return a.n < 0n ? f.negate(a) : a;
}

function hasPlainLog(expression: Expression): boolean {
  return some(expression, (part) => part.kind === 'call' && part.name === 'log' && part.arguments.length === 1);
}

/**
 * For rewards a plain number must be worked out: who boxes the question's own `12 \cdot 13` has not answered 156.
 * Fractions, signs, mixed numbers and powers count as worked out.
 */
function evaluated(gold: Expression, prediction: Expression, options: Options, reason: string): Verdict {
  if (!options.strict || !isWorkedOut(gold) || isWorkedOut(prediction)) return equal(reason);
  return unknown('it is left to be worked out');
}

function isWorkedOut(expression: Expression): boolean {
  const isNumber = (part: Expression): boolean =>
    part.kind === 'number' || (part.kind === 'negation' && isNumber(part.of));
  const isPower = (part: Expression): boolean =>
    part.kind === 'power' && isNumber(part.base) && isNumber(part.exponent);
  const isPart = (part: Expression): boolean => isNumber(part) || isPower(part);
  switch (expression.kind) {
    case 'negation':
      return isWorkedOut(expression.of);
    case 'quotient':
      return isPart(expression.top) && isPart(expression.bottom);
    case 'product': // 1.2 · 10^5
      return expression.factors.length === 2 && expression.factors.every(isPart) && expression.factors.some(isPower);
    case 'sum': // a mixed number, the only sum of a whole number and a fraction that the parser writes with two terms
      return (
        expression.terms.length === 2 &&
        isNumber(expression.terms[0] as Expression) &&
        expression.terms[1]?.kind === 'quotient'
      );
    default:
      return isPart(expression);
  }
}

/** The same tree. */
export function sameExpression(a: Expression, b: Expression): boolean {
  switch (a.kind) {
    case 'number':
      return b.kind === 'number' && f.isEqual(a.value, b.value);
    case 'constant':
      return b.kind === 'constant' && a.name === b.name;
    case 'variable':
      return b.kind === 'variable' && a.name === b.name;
    case 'sum':
      return b.kind === 'sum' && sameAll(a.terms, b.terms);
    case 'product':
      return b.kind === 'product' && sameAll(a.factors, b.factors);
    case 'quotient':
      return b.kind === 'quotient' && sameExpression(a.top, b.top) && sameExpression(a.bottom, b.bottom);
    case 'power':
      return b.kind === 'power' && sameExpression(a.base, b.base) && sameExpression(a.exponent, b.exponent);
    case 'call':
      return b.kind === 'call' && a.name === b.name && sameAll(a.arguments, b.arguments);
    case 'factorial':
      return b.kind === 'factorial' && a.double === b.double && sameExpression(a.of, b.of);
    case 'plusMinus':
      return b.kind === 'plusMinus' && a.flip === b.flip && sameExpression(a.of, b.of);
    default:
      return b.kind === a.kind && sameExpression(a.of, b.of);
  }
}

function sameAll(a: readonly Expression[], b: readonly Expression[]): boolean {
  return a.length === b.length && a.every((part, index) => sameExpression(part, b[index] as Expression));
}
