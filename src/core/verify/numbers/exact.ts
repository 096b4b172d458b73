import type { Expression } from '../expression.ts';
import { type Budget, LimitError, MAX_BITS, spend, UndefinedError } from '../limits.ts';
import type { Fraction } from './fraction.ts';
import * as f from './fraction.ts';

/** re + im·i with exact fractions. */
export interface Gaussian {
  re: Fraction;
  im: Fraction;
}

/** Values for the variables of an expression. */
export type Assignment = ReadonlyMap<string, Fraction>;

/** The largest n of n!, C(n, k): beyond it not even the product tree is fast. */
const MAX_FACTORIAL = 6_000n;

/**
 * The exact value, or null for what is not built from fractions alone: π, most roots, functions, variables without a
 * value, and what a cap stops.
 * @throws UndefinedError where the value does not exist
 */
export function exactValue(expression: Expression, budget: Budget, assignment?: Assignment): Gaussian | null {
  try {
    return evaluate(expression, budget, assignment);
  } catch (error) {
    if (error instanceof LimitError && budget.left >= 0) return null;
    throw error;
  }
}

/** The exact value if it is real. */
export function exactReal(expression: Expression, budget: Budget, assignment?: Assignment): Fraction | null {
  const value = exactValue(expression, budget, assignment);
  return value !== null && value.im.n === 0n ? value.re : null;
}

export function sameValue(a: Gaussian, b: Gaussian): boolean {
  return f.isEqual(a.re, b.re) && f.isEqual(a.im, b.im);
}

const real = (re: Fraction): Gaussian => ({ re, im: f.ZERO });

function evaluate(expression: Expression, budget: Budget, assignment?: Assignment): Gaussian | null {
  spend(budget);
  switch (expression.kind) {
    case 'number':
      return real(expression.value);
    case 'constant':
      return expression.name === 'i' ? { re: f.ZERO, im: f.ONE } : null;
    case 'variable': {
      const value = assignment?.get(expression.name);
      return value === undefined ? null : real(value);
    }
    case 'sum':
      return fold(expression.terms, real(f.ZERO), (a, b) => ({ re: f.add(a.re, b.re), im: f.add(a.im, b.im) }));
    case 'product':
      return fold(expression.factors, real(f.ONE), multiply);
    case 'quotient': {
      const top = evaluate(expression.top, budget, assignment);
      const bottom = evaluate(expression.bottom, budget, assignment);
      if (bottom !== null && bottom.re.n === 0n && bottom.im.n === 0n) throw new UndefinedError('division by zero');
      return top === null || bottom === null ? null : divide(top, bottom);
    }
    case 'negation': {
      const value = evaluate(expression.of, budget, assignment);
      return value === null ? null : { re: f.negate(value.re), im: f.negate(value.im) };
    }
    case 'power': {
      if (budget.tooLarge.has(expression)) return null;
      try {
        const base = evaluate(expression.base, budget, assignment);
        const exponent = evaluate(expression.exponent, budget, assignment);
        return base === null || exponent === null || exponent.im.n !== 0n ? null : power(base, exponent.re, budget);
      } catch (error) {
        // In a tower every level would fail anew.
        if (error instanceof LimitError && assignment === undefined) budget.tooLarge.add(expression);
        throw error;
      }
    }
    case 'factorial': {
      const value = evaluate(expression.of, budget, assignment);
      return value === null ? null : factorial(value, expression.double, budget);
    }
    case 'call': {
      const values: Gaussian[] = [];
      for (const argument of expression.arguments) {
        const value = evaluate(argument, budget, assignment);
        if (value === null) return null;
        values.push(value);
      }
      return call(expression.name, values, budget);
    }
    case 'degrees':
    case 'plusMinus':
      return null;
  }

  /** Null as soon as one part has no exact value, but parts that are undefined are still found. */
  function fold(
    parts: Expression[],
    start: Gaussian,
    combine: (a: Gaussian, b: Gaussian) => Gaussian,
  ): Gaussian | null {
    let result: Gaussian | null = start;
    for (const part of parts) {
      const value = evaluate(part, budget, assignment);
      if (result === null || value === null) result = null;
      else {
        spend(
          budget,
          2 + (f.bitLength(result.re.d) >> 6) + ((f.bitLength(result.re.n) * f.bitLength(value.re.n)) >> 17),
        );
        result = combine(result, value);
      }
    }
    return result;
  }
}

function multiply(a: Gaussian, b: Gaussian): Gaussian {
  if (a.im.n === 0n && b.im.n === 0n) return real(f.multiply(a.re, b.re));
  return {
    re: f.add(f.multiply(a.re, b.re), f.negate(f.multiply(a.im, b.im))),
    im: f.add(f.multiply(a.re, b.im), f.multiply(a.im, b.re)),
  };
}

function divide(a: Gaussian, b: Gaussian): Gaussian {
  if (b.im.n === 0n) return { re: f.divide(a.re, b.re), im: f.divide(a.im, b.re) };
  const norm = f.add(f.multiply(b.re, b.re), f.multiply(b.im, b.im));
  return divide(multiply(a, { re: b.re, im: f.negate(b.im) }), real(norm));
}

function power(base: Gaussian, exponent: Fraction, budget: Budget): Gaussian | null {
  const whole = f.toInteger(exponent);
  if (whole !== null) {
    if (base.im.n === 0n) {
      if (base.re.n === 0n && whole === 0n) throw new UndefinedError('0^0');
      const result = f.power(base.re, whole);
      spend(budget, 1 + ((f.bitLength(result.n) ** 2 + f.bitLength(result.d) ** 2) >> 17));
      return real(result);
    }
    if (whole < 0n) return power(divide(real(f.ONE), base), f.negate(exponent), budget);
    return whole > 4_096n ? null : bySquaring(base, whole, budget);
  }
  if (base.im.n !== 0n || base.re.n < 0n) return null;
  const reduced = f.reduce(exponent);
  if (reduced === null || reduced.d > 64n) return null;
  const root = rootOf(base.re, Number(reduced.d), budget);
  return root === null ? null : power(real(root), f.fraction(reduced.n), budget);
}

function bySquaring(base: Gaussian, exponent: bigint, budget: Budget): Gaussian {
  if (exponent === 0n) return real(f.ONE);
  const half = bySquaring(base, exponent / 2n, budget);
  spend(budget, 10 + (f.bitLength(half.re.n) >> 4));
  const square = multiply(half, half);
  return exponent % 2n === 0n ? square : multiply(square, base);
}

function rootOf(a: Fraction, k: number, budget: Budget): Fraction | null {
  spend(budget, 10 + ((f.bitLength(a.n) ** 2 + f.bitLength(a.d) ** 2) >> 12));
  return f.exactRoot(a, k);
}

function factorial(value: Gaussian, double: boolean, budget: Budget): Gaussian | null {
  const n = value.im.n === 0n ? f.toInteger(value.re) : null;
  if (n === null || n < 0n) throw new UndefinedError('factorial of a number that is not 0, 1, 2, …');
  if (n > MAX_FACTORIAL) return null;
  spend(budget, Number(n) * 2);
  const step = double ? 2 : 1;
  return real(f.fraction(product(double && n % 2n === 1n ? 1 : step, Number(n), step)));
}

/** from · (from + step) · … ≤ to, as a balanced tree: large factors of like size multiply fast. */
function product(from: number, to: number, step: number): bigint {
  if (from > to) return 1n;
  if (to - from < 8 * step) {
    let result = 1n;
    for (let k = from; k <= to; k += step) result *= BigInt(k);
    return result;
  }
  const middle = from + Math.floor((to - from) / (2 * step)) * step;
  return product(from, middle, step) * product(middle + step, to, step);
}

function binomial(n: bigint, k: bigint, budget: Budget): Fraction | null {
  if (k < 0n || n < 0n) return null;
  if (k > n) return f.ZERO;
  const small = k > n - k ? n - k : k;
  if (small > MAX_FACTORIAL || Number(small) * f.bitLength(n) > MAX_BITS) return null;
  spend(budget, Number(small) * (2 + ((Number(small) * f.bitLength(n)) >> 12)));
  let top = 1n;
  for (let i = 0n; i < small; i++) top *= n - i;
  return f.fraction(top / product(1, Number(small), 1));
}

function call(name: string, values: Gaussian[], budget: Budget): Gaussian | null {
  const [first, second] = values;
  if (first === undefined) return null;
  if (name === 'root') {
    const index = second === undefined ? 2n : second.im.n === 0n ? f.toInteger(second.re) : null;
    if (index === null || index < 1n || index > 64n || first.im.n !== 0n) return null;
    const negative = first.re.n < 0n;
    const size = negative ? f.negate(first.re) : first.re;
    const root = rootOf(size, Number(index), budget);
    if (root === null) return null;
    if (!negative) return real(root);
    if (index % 2n === 1n) return real(f.negate(root));
    return index === 2n ? { re: f.ZERO, im: root } : null;
  }
  if (name === 'abs' && first.im.n !== 0n) {
    const root = rootOf(f.add(f.multiply(first.re, first.re), f.multiply(first.im, first.im)), 2, budget);
    return root === null ? null : real(root);
  }
  if (values.some((value) => value.im.n !== 0n)) return null;
  const reals = values.map((value) => value.re);
  const value = first.re;
  switch (name) {
    case 'abs':
      return real(value.n < 0n ? f.negate(value) : value);
    case 'floor':
      return real(f.fraction(f.floor(value)));
    case 'ceil':
      return real(f.fraction(-f.floor(f.negate(value))));
    case 'max':
      return real(reals.reduce((a, b) => (f.compare(a, b) >= 0 ? a : b)));
    case 'min':
      return real(reals.reduce((a, b) => (f.compare(a, b) <= 0 ? a : b)));
    case 'gcd':
    case 'lcm':
      return divisorOrMultiple(name, reals, budget);
    case 'binomial': {
      const [n, k] = reals.map(f.toInteger);
      if (n === null || n === undefined || k === null || k === undefined) return null;
      const result = binomial(n, k, budget);
      return result === null ? null : real(result);
    }
    default:
      return specialValue(name, value);
  }
}

/** sin 0, e^0, ln 1 …: whole values, so that a sum with them stays exact. */
function specialValue(name: string, value: Fraction): Gaussian | null {
  const zero = value.n === 0n;
  if (zero && ['sin', 'tan', 'arcsin', 'arctan', 'sinh', 'tanh'].includes(name)) return real(f.ZERO);
  if (zero && ['cos', 'sec', 'cosh', 'exp', 'cis'].includes(name)) return real(f.ONE);
  if (name === 'ln' && value.n === value.d) return real(f.ZERO);
  return null;
}

function divisorOrMultiple(name: 'gcd' | 'lcm', values: Fraction[], budget: Budget): Gaussian | null {
  let result: bigint | null = null;
  for (const value of values) {
    const whole = f.toInteger(value);
    if (whole === null || f.bitLength(whole) > 4_096) return null;
    spend(budget, f.bitLength(whole));
    const size = whole < 0n ? -whole : whole;
    if (result === null) result = size;
    else if (name === 'gcd') result = f.greatestCommonDivisor(result, size);
    else result = result === 0n || size === 0n ? 0n : (result / f.greatestCommonDivisor(result, size)) * size;
    if (f.bitLength(result) > 4_096) return null;
  }
  return result === null ? null : real(f.fraction(result));
}
