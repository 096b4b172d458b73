import type { Expression } from '../expression.ts';
import { LimitError, spend, UndefinedError } from '../limits.ts';
import type { Ball, Context } from './ball.ts';
import * as real from './ball.ts';
import type { Complex } from './complex.ts';
import * as c from './complex.ts';
import { arctangent, logarithm, pi, sineAndCosine, squareRoot } from './elementary.ts';
import { type Assignment, exactReal } from './exact.ts';
import { toInteger } from './fraction.ts';

export interface Meaning {
  assignment: Assignment;
  /** Variables are real numbers: where a root or a logarithm is not real, there is no value. */
  realOnly: boolean;
  /** What `log` without a base means. */
  logBase: 10 | 'e';
}

/**
 * An enclosure of the value.
 * @throws UndefinedError where there is none; LimitError where it cannot be computed within the caps
 */
export function evaluate(expression: Expression, context: Context, meaning: Meaning): Complex {
  spend(context.budget);
  const value = (part: Expression): Complex => evaluate(part, context, meaning);
  switch (expression.kind) {
    case 'number':
      return c.fromReal(real.fromFraction(context, expression.value));
    case 'constant':
      if (expression.name === 'i') return c.I;
      if (expression.name === 'pi') return c.fromReal(pi(context));
      if (expression.name === 'e') return c.exp(context, c.ONE);
      throw new UndefinedError('infinity is not a number');
    case 'variable': {
      const known = meaning.assignment.get(expression.name);
      if (known === undefined) throw new UndefinedError(`"${expression.name}" has no value`);
      return c.fromReal(real.fromFraction(context, known));
    }
    case 'sum':
      return expression.terms.map(value).reduce((a, b) => c.add(context, a, b));
    case 'product':
      return expression.factors.map(value).reduce((a, b) => c.multiply(context, a, b));
    case 'quotient':
      return c.divide(context, value(expression.top), value(expression.bottom));
    case 'negation':
      return c.negate(value(expression.of));
    case 'power':
      return power(expression.base, expression.exponent, context, meaning);
    case 'factorial':
      return factorial(expression.of, expression.double, context, meaning);
    case 'degrees': {
      const turn = real.divide(context, pi(context), real.fromInteger(context, 180n));
      return c.multiply(context, value(expression.of), c.fromReal(turn));
    }
    case 'plusMinus':
      throw new LimitError('± stands for two values');
    case 'call':
      return call(expression.name, expression.arguments, context, meaning);
  }
}

function power(base: Expression, exponent: Expression, context: Context, meaning: Meaning): Complex {
  const exact = exactReal(exponent, context.budget, meaning.assignment);
  const whole = exact === null ? null : toInteger(exact);
  if (base.kind === 'constant' && base.name === 'e') {
    return c.exp(context, evaluate(exponent, context, meaning));
  }
  const a = evaluate(base, context, meaning);
  if (whole !== null) {
    if (whole === 0n && !real.touchesZero(a.re)) return c.ONE;
    if (c.isZero(a) && whole <= 0n) throw new UndefinedError('0 to a power that is not positive');
    return c.integerPower(context, a, whole);
  }
  const b = evaluate(exponent, context, meaning);
  if (c.isZero(a)) {
    if (c.isReal(b) && real.sign(b.re) > 0) return c.ZERO;
    throw new UndefinedError('0 to a power that is not positive');
  }
  if (c.isReal(a) && real.sign(a.re) < 0) {
    if (meaning.realOnly) throw new UndefinedError('a fractional power of a negative number');
    // (-8)^(1/3): -2 to some, 1 + √3 i to others. Halves and quarters have no real value to confuse them with.
    if (exact !== null && exact.d % 2n === 1n) throw new LimitError('a fractional power of a negative number');
  }
  return c.power(context, a, b);
}

/** Beyond the exact ones: n! as a product of n balls. */
function factorial(of: Expression, double: boolean, context: Context, meaning: Meaning): Complex {
  const exact = exactReal(of, context.budget, meaning.assignment);
  const n = exact === null ? null : toInteger(exact);
  if (exact !== null && (n === null || n < 0n))
    throw new UndefinedError('factorial of a number that is not 0, 1, 2, …');
  if (n === null || n > 20_000n) throw new LimitError('a factorial is too large');
  let result = real.ONE;
  for (let k = n; k > 1n; k -= double ? 2n : 1n) result = real.multiply(context, result, real.fromInteger(context, k));
  return c.fromReal(result);
}

function call(name: string, parts: readonly Expression[], context: Context, meaning: Meaning): Complex {
  const values = parts.map((part) => evaluate(part, context, meaning));
  const [first, second] = values as [Complex, Complex | undefined];
  switch (name) {
    case 'root':
      return root(first, parts[1], context, meaning);
    case 'abs':
      return c.fromReal(c.absolute(context, first));
    case 'exp':
      return c.exp(context, first);
    case 'ln':
      return log(first, context, meaning);
    case 'log': {
      if (second === undefined && meaning.logBase === 'e') return log(first, context, meaning);
      const base = second ?? c.fromReal(real.fromInteger(context, 10n));
      return c.divide(context, log(first, context, meaning), log(base, context, meaning));
    }
    case 'cis':
      return c.exp(context, c.multiply(context, c.I, first));
  }
  if (values.some((value) => !c.isReal(value))) return complexTrigonometry(name, first, context);
  const balls = values.map((value) => value.re);
  const exact = (index: number): bigint | null => {
    const part = parts[index];
    const known = part === undefined ? null : exactReal(part, context.budget, meaning.assignment);
    return known === null ? null : toInteger(known);
  };
  return c.fromReal(realCall(name, balls, exact, context));
}

function log(a: Complex, context: Context, meaning: Meaning): Complex {
  if (c.isReal(a) && real.sign(a.re) > 0) return c.fromReal(logarithm(context, a.re));
  if (meaning.realOnly) throw new UndefinedError('logarithm of a number that is not positive');
  return c.log(context, a);
}

function root(a: Complex, index: Expression | undefined, context: Context, meaning: Meaning): Complex {
  const negative = c.isReal(a) && real.sign(a.re) < 0;
  if (index === undefined) {
    if (negative && meaning.realOnly) throw new UndefinedError('a square root of a negative number');
    return c.root(context, a);
  }
  const exact = exactReal(index, context.budget, meaning.assignment);
  const k = exact === null ? null : toInteger(exact);
  if (k === 2n) return root(a, undefined, context, meaning);
  if (k === 0n) throw new UndefinedError('a root of index 0');
  if (c.isZero(a)) return c.ZERO;
  const odd = k !== null && k % 2n === 1n;
  if (negative && odd) return c.negate(root(c.negate(a), index, context, meaning));
  if (negative && meaning.realOnly) throw new UndefinedError('an even root of a negative number');
  return c.power(context, a, c.divide(context, c.ONE, evaluate(index, context, meaning)));
}

function complexTrigonometry(name: string, z: Complex, context: Context): Complex {
  const turned = c.exp(context, c.multiply(context, c.I, z));
  const back = c.divide(context, c.ONE, turned);
  const half = c.fromReal({ m: 1n, e: -1, r: 0n });
  if (name === 'cos') return c.multiply(context, half, c.add(context, turned, back));
  if (name === 'sin') {
    const difference = c.add(context, turned, c.negate(back));
    return c.multiply(context, c.negate(c.multiply(context, c.I, half)), difference);
  }
  throw new LimitError(`${name} of a complex number`);
}

function realCall(name: string, values: Ball[], exact: (index: number) => bigint | null, context: Context): Ball {
  const x = values[0] ?? real.ZERO;
  const one = real.ONE;
  const inverse = (a: Ball): Ball => real.divide(context, one, a);
  const exponentials = (): [Ball, Ball] => {
    const up = c.exp(context, c.fromReal(x)).re;
    return [up, inverse(up)];
  };
  const half = (a: Ball): Ball => ({ m: a.m, e: a.e - 1, r: a.r });
  switch (name) {
    case 'sin':
      return sineAndCosine(context, x).sine;
    case 'cos':
      return sineAndCosine(context, x).cosine;
    case 'tan':
    case 'cot':
    case 'sec':
    case 'csc': {
      const { sine, cosine } = sineAndCosine(context, x);
      if (name === 'tan') return real.divide(context, sine, cosine);
      if (name === 'cot') return real.divide(context, cosine, sine);
      return inverse(name === 'sec' ? cosine : sine);
    }
    case 'arctan':
      return arctangent(context, x);
    case 'arcsin':
    case 'arccos': {
      // arcsin x = 2 arctan(x / (1 + √(1 - x²))), arccos x = π/2 - arcsin x
      const rest = real.subtract(context, one, real.multiply(context, x, x));
      const cosine = squareRoot(context, rest);
      const halved = arctangent(context, real.divide(context, x, real.add(context, one, cosine)));
      const arcsine = { ...halved, e: halved.e + 1 };
      return name === 'arcsin' ? arcsine : real.subtract(context, half(pi(context)), arcsine);
    }
    case 'sinh': {
      const [up, down] = exponentials();
      return half(real.subtract(context, up, down));
    }
    case 'cosh': {
      const [up, down] = exponentials();
      return half(real.add(context, up, down));
    }
    case 'tanh': {
      const [up, down] = exponentials();
      return real.divide(context, real.subtract(context, up, down), real.add(context, up, down));
    }
    case 'floor':
      return real.fromInteger(context, floorOf(x));
    case 'ceil':
      return real.fromInteger(context, -floorOf(real.negate(x)));
    case 'max':
    case 'min':
      return values.reduce((a, b) => {
        const order = real.sign(real.subtract(context, a, b));
        if (order === 0) throw new LimitError('two numbers cannot be told apart');
        return order > 0 === (name === 'max') ? a : b;
      });
    case 'binomial':
      return binomial(x, exact(1), context);
    default:
      throw new LimitError(`${name} of numbers that are not exact`);
  }
}

function floorOf(a: Ball): bigint {
  if (a.e > 4_096) throw new LimitError('a number is too large');
  const bound = (m: bigint): bigint => (a.e >= 0 ? m << BigInt(a.e) : m >> BigInt(-a.e));
  const low = bound(a.m - a.r);
  if (low !== bound(a.m + a.r)) throw new LimitError('a number cannot be told from a whole one');
  return low;
}

/** n (n-1) … (n-k+1) / k! for any n. */
function binomial(n: Ball, k: bigint | null, context: Context): Ball {
  if (k === null || k < 0n || k > 1_000n) throw new LimitError('a binomial coefficient is too large');
  let result = real.ONE;
  for (let i = 0n; i < k; i++) {
    const factor = real.subtract(context, n, real.fromInteger(context, i));
    result = real.divide(context, real.multiply(context, result, factor), real.fromInteger(context, i + 1n));
  }
  return result;
}
