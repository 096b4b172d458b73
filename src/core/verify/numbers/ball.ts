import { type Budget, LimitError, spend, UndefinedError } from '../limits.ts';
import { bitLength, type Fraction } from './fraction.ts';

/**
 * A real number known up to an error: somewhere in [m - r, m + r] · 2^e. Every operation widens the radius by what it
 * rounds away, so that two balls which do not touch are two different numbers, whatever cancelled on the way.
 */
export interface Ball {
  m: bigint;
  e: number;
  r: bigint;
}

/** Working precision in bits, what may still be spent, and what was seen. */
export interface Context {
  precision: number;
  budget: Budget;
  /** Widest distance, in bits, of two numbers that were added: what a lower precision would have lost. */
  gap: number;
  /** Bits of the largest angle: so many of them are lost to whole turns. */
  angle: number;
  /** Where a value came out as possibly 0: the power of two that it could have had. The smallest of them. */
  scale: number;
}

/** Powers of two beyond this are towers, not answers. */
const MAX_EXPONENT = 2 ** 45;
/** Mantissas are cut back only when they have grown by this much: fewer shifts. */
const SLACK = 32;

export function newContext(precision: number, budget: Budget): Context {
  return { precision, budget, gap: 0, angle: 0, scale: Number.POSITIVE_INFINITY };
}

export const ZERO: Ball = { m: 0n, e: 0, r: 0n };
export const ONE: Ball = { m: 1n, e: 0, r: 0n };

export function isZero(a: Ball): boolean {
  return a.m === 0n && a.r === 0n;
}

/** True when the ball does not exclude 0. */
export function touchesZero(a: Ball): boolean {
  return (a.m < 0n ? -a.m : a.m) <= a.r;
}

/** -1, 0 for a value that may be zero, 1 */
export function sign(a: Ball): number {
  return touchesZero(a) ? 0 : a.m < 0n ? -1 : 1;
}

/** The power of two just above the ball's largest absolute value; -Infinity for exactly zero. */
export function magnitude(a: Ball): number {
  return isZero(a) ? Number.NEGATIVE_INFINITY : bitLength((a.m < 0n ? -a.m : a.m) + a.r) + a.e;
}

/** The power of two just above the ball's radius; -Infinity for an exact value. */
export function uncertainty(a: Ball): number {
  return a.r === 0n ? Number.NEGATIVE_INFINITY : bitLength(a.r) + a.e;
}

/** Rounds to the working precision. @throws LimitError for powers of two beyond any answer */
export function rounded(context: Context, m: bigint, e: number, r: bigint): Ball {
  const bits = bitLength(m) > bitLength(r) ? bitLength(m) : bitLength(r);
  spend(context.budget, 1 + ((bits * bits) >> 17));
  if (Math.abs(e + bits) > MAX_EXPONENT && bits > 0) throw new LimitError('a number is too large');
  const extra = bits - context.precision;
  if (extra <= SLACK) return { m, e, r };
  const shift = BigInt(extra);
  return { m: m >> shift, e: e + extra, r: (r >> shift) + 2n };
}

export function fromInteger(context: Context, n: bigint): Ball {
  return rounded(context, n, 0, 0n);
}

export function fromFraction(context: Context, a: Fraction): Ball {
  return a.d === 1n ? fromInteger(context, a.n) : divide(context, fromInteger(context, a.n), fromInteger(context, a.d));
}

export function negate(a: Ball): Ball {
  return { m: -a.m, e: a.e, r: a.r };
}

export function absolute(a: Ball): Ball {
  return a.m < 0n ? negate(a) : a;
}

export function add(context: Context, a: Ball, b: Ball): Ball {
  if (isZero(a)) return b;
  if (isZero(b)) return a;
  const [topA, topB] = [magnitude(a), magnitude(b)];
  context.gap = Math.max(context.gap, Math.abs(topA - topB));
  const [large, small] = topA >= topB ? [a, b] : [b, a];
  if (Math.abs(topA - topB) > context.precision + SLACK) {
    // The smaller one only blurs the larger one's last place.
    const spare = Math.max(0, context.precision + SLACK - bitLength(large.m));
    if (large.e - spare >= Math.min(topA, topB)) {
      const shift = BigInt(spare);
      return rounded(context, large.m << shift, large.e - spare, (large.r << shift) + 1n);
    }
  }
  const e = Math.min(large.e, small.e);
  if (Math.max(large.e, small.e) - e > 1 << 17) throw new LimitError('numbers of too different size are added');
  const [s, t] = [BigInt(large.e - e), BigInt(small.e - e)];
  const sum = rounded(context, (large.m << s) + (small.m << t), e, (large.r << s) + (small.r << t));
  if (touchesZero(sum)) context.scale = Math.min(context.scale, topA, topB);
  return sum;
}

export function subtract(context: Context, a: Ball, b: Ball): Ball {
  return add(context, a, negate(b));
}

export function multiply(context: Context, a: Ball, b: Ball): Ball {
  if (isZero(a) || isZero(b)) return ZERO;
  const [x, y] = [a.m < 0n ? -a.m : a.m, b.m < 0n ? -b.m : b.m];
  const r = a.r === 0n && b.r === 0n ? 0n : x * b.r + y * a.r + a.r * b.r;
  return rounded(context, a.m * b.m, a.e + b.e, r);
}

/** @throws UndefinedError for a divisor that is exactly 0, LimitError for one that may be. */
export function divide(context: Context, a: Ball, b: Ball): Ball {
  if (isZero(b)) throw new UndefinedError('division by zero');
  if (touchesZero(b)) throw new LimitError('a divisor cannot be told from 0');
  if (isZero(a)) return ZERO;
  const y = b.m < 0n ? -b.m : b.m;
  const shift = Math.max(0, context.precision + SLACK + bitLength(b.m) - bitLength(a.m));
  const m = (a.m << BigInt(shift)) / b.m;
  const x = m < 0n ? -m : m;
  const r = ((x + 1n) * b.r + (a.r << BigInt(shift))) / (y - b.r) + 2n;
  return rounded(context, m, a.e - b.e - shift, r);
}

/** Exponent by squaring; exact integer exponents only. */
export function integerPower(context: Context, a: Ball, exponent: bigint): Ball {
  if (exponent < 0n) return divide(context, ONE, integerPower(context, a, -exponent));
  if (bitLength(exponent) > 64) throw new LimitError('an exponent is too large');
  return bySquaring(ONE, a, exponent, (b, c) => multiply(context, b, c));
}

/** The base multiplied by itself, `exponent` (0 or more) times. */
export function bySquaring<T>(one: T, base: T, exponent: bigint, times: (a: T, b: T) => T): T {
  let [result, square, rest] = [one, base, exponent];
  while (rest > 0n) {
    if (rest & 1n) result = times(result, square);
    rest >>= 1n;
    if (rest > 0n) square = times(square, square);
  }
  return result;
}

/** The value · 2^width rounded down, and its radius in the same unit (at least 1). */
export function toFixed(a: Ball, width: number): { value: bigint; radius: bigint } {
  const shift = a.e + width;
  if (shift >= 0) return { value: a.m << BigInt(shift), radius: (a.r << BigInt(shift)) + 1n };
  return { value: a.m >> BigInt(-shift), radius: (a.r >> BigInt(-shift)) + 2n };
}

/** The nearest double, for keys and for people; not for decisions. */
export function toNumber(a: Ball): number {
  const bits = bitLength(a.m);
  const cut = Math.max(0, bits - 60);
  return Number(a.m >> BigInt(cut)) * 2 ** Math.min(1_100, Math.max(-1_200, a.e + cut));
}
