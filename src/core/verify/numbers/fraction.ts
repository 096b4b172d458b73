import { LimitError, MAX_BITS, UndefinedError } from '../limits.ts';

/**
 * An exact fraction with a positive denominator, not always in lowest terms: Euclid's algorithm on two numbers of
 * 20,000 digits takes longer than a whole check may, and equality needs none of it.
 */
export interface Fraction {
  n: bigint;
  d: bigint;
}

/** Up to here fractions are kept in lowest terms; so small ones, nearly all, stay small. */
const REDUCE_BITS = 192;
const REDUCE_BOUND = 1n << BigInt(REDUCE_BITS);

export const ZERO: Fraction = { n: 0n, d: 1n };
export const ONE: Fraction = { n: 1n, d: 1n };

/** @throws UndefinedError for the denominator 0, LimitError beyond the size cap. */
export function fraction(n: bigint, d = 1n): Fraction {
  if (d === 0n) throw new UndefinedError('division by zero');
  if (d < 0n) return fraction(-n, -d);
  if (n === 0n) return ZERO;
  if (d === 1n) {
    if (bitLength(n) > MAX_BITS) throw new LimitError('a number is too large');
    return { n, d };
  }
  if (d < REDUCE_BOUND && n < REDUCE_BOUND && -n < REDUCE_BOUND) {
    const divisor = greatestCommonDivisor(n < 0n ? -n : n, d);
    return divisor === 1n ? { n, d } : { n: n / divisor, d: d / divisor };
  }
  if (bitLength(n) > MAX_BITS || bitLength(d) > MAX_BITS) throw new LimitError('a number is too large');
  return { n, d };
}

export function add(a: Fraction, b: Fraction): Fraction {
  return a.d === b.d ? fraction(a.n + b.n, a.d) : fraction(a.n * b.d + b.n * a.d, a.d * b.d);
}

export function negate(a: Fraction): Fraction {
  return { n: -a.n, d: a.d };
}

export function multiply(a: Fraction, b: Fraction): Fraction {
  return fraction(a.n * b.n, a.d * b.d);
}

/** @throws UndefinedError when b is zero. */
export function divide(a: Fraction, b: Fraction): Fraction {
  return fraction(a.n * b.d, a.d * b.n);
}

export function isEqual(a: Fraction, b: Fraction): boolean {
  return a.n * b.d === b.n * a.d;
}

/** Negative, zero or positive, as the sign of a - b. */
export function compare(a: Fraction, b: Fraction): number {
  const difference = a.n * b.d - b.n * a.d;
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/** Null unless the value is a whole number. */
export function toInteger(a: Fraction): bigint | null {
  if (a.d === 1n) return a.n;
  return a.n % a.d === 0n ? a.n / a.d : null;
}

export function floor(a: Fraction): bigint {
  const quotient = a.n / a.d;
  return a.n < 0n && quotient * a.d !== a.n ? quotient - 1n : quotient;
}

/**
 * a^exponent, its size checked before it is computed.
 * @throws LimitError, UndefinedError for 0 to a negative power
 */
export function power(a: Fraction, exponent: bigint): Fraction {
  if (exponent < 0n) return power(divide(ONE, a), -exponent);
  if (exponent === 0n) return ONE;
  if (a.n === 0n) return ZERO;
  if (a.d === 1n && (a.n === 1n || a.n === -1n)) return exponent % 2n === 0n ? ONE : a;
  const bits = Math.max(bitLength(a.n), bitLength(a.d));
  if (exponent > MAX_BITS || bits * Number(exponent) > MAX_BITS) throw new LimitError('a power is too large');
  return { n: a.n ** exponent, d: a.d ** exponent };
}

/** The exact k-th root of a fraction that is not negative, or null when it is not rational. */
export function exactRoot(a: Fraction, k: number): Fraction | null {
  const reduced = reduce(a);
  if (reduced === null) return null;
  const n = integerRoot(reduced.n, k);
  const d = integerRoot(reduced.d, k);
  return n ** BigInt(k) === reduced.n && d ** BigInt(k) === reduced.d ? { n, d } : null;
}

/** Lowest terms, or null for numbers on which that would take too long. */
export function reduce(a: Fraction): Fraction | null {
  if (a.d === 1n) return a;
  if (bitLength(a.n) > 20 * REDUCE_BITS || bitLength(a.d) > 20 * REDUCE_BITS) return null;
  const divisor = greatestCommonDivisor(a.n < 0n ? -a.n : a.n, a.d);
  return { n: a.n / divisor, d: a.d / divisor };
}

/** The largest r with r^k ≤ n, by Newton's method from above; n ≥ 0. */
export function integerRoot(n: bigint, k: number): bigint {
  if (n < 2n || k === 1) return n;
  const bits = bitLength(n);
  if (bits < k) return 1n;
  const [big, less] = [BigInt(k), BigInt(k - 1)];
  let root = 1n << BigInt(Math.ceil((bits + 1) / k));
  for (;;) {
    const next = (less * root + n / root ** less) / big;
    if (next >= root) return root;
    root = next;
  }
}

export function greatestCommonDivisor(a: bigint, b: bigint): bigint {
  let [x, y] = [a, b];
  while (y !== 0n) {
    if (x <= MAX_SAFE && y <= MAX_SAFE) return BigInt(smallDivisor(Number(x), Number(y)));
    [x, y] = [y, x % y];
  }
  return x;
}

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);

function smallDivisor(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y !== 0) [x, y] = [y, x % y];
  return x;
}

/** Bits of |n|, at most one too many. Printing a long number to count its digits would cost more than using it. */
export function bitLength(n: bigint): number {
  let rest = n < 0n ? -n : n;
  let shifted = 0;
  while (rest >= DOUBLE_BOUND) {
    let step = 512;
    while (rest >> BigInt(2 * step) > 0n) step *= 2;
    rest >>= BigInt(step);
    shifted += step;
  }
  return rest === 0n ? shifted : shifted + Math.floor(Math.log2(Number(rest))) + 1;
}

const DOUBLE_BOUND = 1n << 1_000n;
