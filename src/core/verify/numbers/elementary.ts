import { type Fixed, LimitError, MAX_PRECISION, spend, UndefinedError } from '../limits.ts';
import {
  absolute,
  add,
  type Ball,
  type Context,
  divide,
  isZero,
  magnitude,
  multiply,
  negate,
  ONE,
  rounded,
  sign,
  toFixed,
  touchesZero,
  ZERO,
} from './ball.ts';
import { bitLength, integerRoot } from './fraction.ts';

/** Bits beyond the working precision, for the errors of a few hundred additions. */
const GUARD = 40;
/** Arguments beyond 2^45 make e^x larger than any answer. */
const MAX_ARGUMENT = 45;

/** √a for a ≥ 0. @throws UndefinedError below zero */
export function squareRoot(context: Context, a: Ball): Ball {
  if (isZero(a)) return ZERO;
  if (touchesZero(a)) {
    const bound = integerRoot((a.m < 0n ? -a.m : a.m) + a.r, 2) + 1n;
    return a.e % 2 === 0 ? rounded(context, 0n, a.e / 2, bound) : rounded(context, 0n, (a.e - 1) / 2, 2n * bound);
  }
  if (a.m < 0n) throw new UndefinedError('an even root of a negative number');
  let shift = Math.max(0, 2 * (context.precision + GUARD) - bitLength(a.m));
  if ((a.e - shift) % 2 !== 0) shift += 1;
  const m = a.m << BigInt(shift);
  const root = integerRoot(m, 2);
  spend(context.budget, 20 + ((bitLength(m) ** 2) >> 14));
  // |√(m ± r) - √m| ≤ r / √m
  const r = a.r === 0n ? (root * root === m ? 0n : 1n) : (a.r << BigInt(shift)) / root + 2n;
  return rounded(context, root, (a.e - shift) / 2, r);
}

/** e^a */
export function exponential(context: Context, a: Ball): Ball {
  if (isZero(a)) return ONE;
  const top = magnitude(a);
  if (top > MAX_ARGUMENT) throw new LimitError('a power is too large');
  const halvings = Math.floor(Math.sqrt(context.precision) / 2);
  const width = context.precision + GUARD + halvings + Math.max(0, top);
  const { value, radius } = toFixed(a, width);
  const ln2 = logarithmOfTwo(context, width);
  const turns = (value + (ln2 >> 1n)) / ln2 - (value < 0n ? 1n : 0n);
  const reduced = (value - turns * ln2) >> BigInt(halvings);
  let sum = exponentialSeries(context, reduced, width);
  for (let i = 0; i < halvings; i++) sum = (sum * sum) >> BigInt(width);
  // Each squaring doubles the relative error; `turns` multiplies the error of ln 2, which the width allows for.
  const rounding = 1n << BigInt(halvings + 16);
  if (radius >> BigInt(width - 1) > 0n) throw new LimitError('a power is not known well enough');
  return rounded(context, sum, Number(turns) - width, rounding + ((sum * radius * 2n) >> BigInt(width)) + 1n);
}

/** ln a for a > 0, by Halley's iteration from a double: each step triples the digits. */
export function logarithm(context: Context, a: Ball): Ball {
  if (isZero(a)) throw new UndefinedError('logarithm of zero');
  if (touchesZero(a)) throw new LimitError('the argument of a logarithm cannot be told from 0');
  if (a.m < 0n) throw new UndefinedError('logarithm of a negative number');
  if (a.r === 0n && a.e <= 0 && a.e > -MAX_PRECISION && a.m === 1n << BigInt(-a.e)) return ZERO;
  const bits = bitLength(a.m);
  const width = context.precision + GUARD;
  const value = toFixed({ m: a.m, e: -bits, r: 0n }, width).value;
  let mantissa =
    BigInt(Math.round(Math.log(Number(value >> BigInt(width - 52)) / 2 ** 52) * 2 ** 52)) << BigInt(width - 52);
  for (let correct = 48; correct < width; correct *= 3) {
    const powered = exponentialFixed(context, mantissa, width);
    mantissa += ((2n * (value - powered)) << BigInt(width)) / (value + powered);
  }
  const total = mantissa + BigInt(a.e + bits) * logarithmOfTwo(context, width);
  const scale = BigInt(Math.abs(a.e + bits) + 2);
  const spread = a.r === 0n ? 0n : (a.r << BigInt(width + 1)) / (a.m - a.r) + 1n;
  const result = rounded(context, total, -width, (scale << 16n) + spread);
  if (touchesZero(result)) context.scale = Math.min(context.scale, 0);
  return result;
}

/** Sine and cosine of the same angle in radians. */
export function sineAndCosine(context: Context, a: Ball): { sine: Ball; cosine: Ball } {
  if (isZero(a)) return { sine: ZERO, cosine: ONE };
  const top = magnitude(a);
  if (Math.abs(top) > MAX_PRECISION) throw new LimitError('an angle is too large or too small');
  const width = context.precision + GUARD + Math.abs(top);
  const { value, radius } = toFixed(a, width);
  const quarter = piFixed(context, width) >> 1n;
  const turns = roundedQuotient(value, quarter);
  const angle = value - turns * quarter;
  const square = (angle * angle) >> BigInt(width);
  const sine = alternatingSeries(context, angle, square, 1, width);
  const cosine = alternatingSeries(context, 1n << BigInt(width), square, 0, width);
  const turnError = (turns < 0n ? -turns : turns) * 4n;
  const error = radius + turnError + (1n << 16n);
  const balls = [sine, cosine, -sine, -cosine].map((m) => rounded(context, m, -width, error));
  // sin π comes out of no addition.
  if (balls.some(touchesZero)) context.scale = Math.min(context.scale, 0);
  context.angle = Math.max(context.angle, top);
  const quadrant = Number(((turns % 4n) + 4n) % 4n);
  const pick = (index: number): Ball => balls[index % 4] as Ball;
  return { sine: pick(quadrant), cosine: pick(quadrant + 1) };
}

/** arctan a in (-π/2, π/2) */
export function arctangent(context: Context, a: Ball): Ball {
  if (isZero(a)) return ZERO;
  if (sign(a) !== 0 && magnitude(a) > 2) {
    const rest = arctangent(context, divide(context, ONE, absolute(a)));
    const result = add(context, halfPi(context), negate(rest));
    return a.m < 0n ? negate(result) : result;
  }
  const top = magnitude(a);
  if (top < -MAX_PRECISION) throw new LimitError('an angle is too small');
  const width = context.precision + GUARD + Math.max(0, -top);
  const { value, radius } = toFixed(a, width);
  const one = 1n << BigInt(width);
  // arctan x = 2 arctan(x / (1 + √(1 + x²))), until the series is short.
  let x = value;
  const halvings = 3 + Math.floor(Math.sqrt(context.precision) / 4);
  for (let i = 0; i < halvings; i++) {
    const root = integerRoot(one * one + x * x, 2);
    spend(context.budget, 20 + ((width ** 2) >> 13));
    x = (x << BigInt(width)) / (one + root);
  }
  const square = (x * x) >> BigInt(width);
  let sum = 0n;
  let term = x;
  for (let k = 1n; term !== 0n && term !== -1n; k += 2n) {
    sum += k % 4n === 1n ? term / k : -term / k;
    term = (term * square) >> BigInt(width);
    spend(context.budget, 2 + ((width ** 2) >> 17));
  }
  return rounded(context, sum << BigInt(halvings), -width, radius + (1n << BigInt(halvings + 12)));
}

export function pi(context: Context): Ball {
  const width = context.precision + GUARD;
  return rounded(context, piFixed(context, width), -width, 16n);
}

function halfPi(context: Context): Ball {
  const { m, e, r } = pi(context);
  return { m, e: e - 1, r };
}

/** e^x for a fixed-point x near [-1, 1]. */
function exponentialFixed(context: Context, x: bigint, width: number): bigint {
  const halvings = Math.floor(Math.sqrt(width) / 2);
  const wide = width + halvings + 8;
  let sum = exponentialSeries(context, x << 8n, wide);
  for (let i = 0; i < halvings; i++) sum = (sum * sum) >> BigInt(wide);
  return sum >> BigInt(halvings + 8);
}

function exponentialSeries(context: Context, x: bigint, width: number): bigint {
  let sum = 0n;
  let term = 1n << BigInt(width);
  for (let k = 1n; term !== 0n && term !== -1n; k += 1n) {
    sum += term;
    term = ((term * x) >> BigInt(width)) / k;
    spend(context.budget, 3 + ((width ** 2) >> 19));
  }
  return sum;
}

/** first · (1 - s/((k+1)(k+2)) + …): sine from its argument with k = 1, cosine from 1 with k = 0. */
function alternatingSeries(context: Context, first: bigint, square: bigint, start: number, width: number): bigint {
  let sum = 0n;
  let term = first;
  for (let k = start; term !== 0n; k += 2) {
    sum += term;
    term = -((term * square) >> BigInt(width)) / BigInt((k + 1) * (k + 2));
    spend(context.budget, 3 + ((width ** 2) >> 19));
  }
  return sum;
}

function roundedQuotient(a: bigint, b: bigint): bigint {
  const doubled = 2n * a + b;
  const quotient = doubled / (2n * b);
  return doubled < 0n && quotient * 2n * b !== doubled ? quotient - 1n : quotient;
}

/** π · 2^width, a few units off at most. Machin: π = 16 arctan 1/5 - 4 arctan 1/239. */
function piFixed(context: Context, width: number): bigint {
  context.budget.pi = widened(
    context,
    context.budget.pi,
    width,
    (w) => 16n * inverseSeries(context, 5n, w, -1n) - 4n * inverseSeries(context, 239n, w, -1n),
  );
  return context.budget.pi.value >> BigInt(context.budget.pi.width - width);
}

/** ln 2 · 2^width. ln 2 = 2 artanh 1/3 */
function logarithmOfTwo(context: Context, width: number): bigint {
  context.budget.ln2 = widened(context, context.budget.ln2, width, (w) => 2n * inverseSeries(context, 3n, w, 1n));
  return context.budget.ln2.value >> BigInt(context.budget.ln2.width - width);
}

function widened(context: Context, known: Fixed | null, width: number, compute: (width: number) => bigint): Fixed {
  if (known !== null && known.width >= width) return known;
  if (width > 4 * MAX_PRECISION) throw new LimitError('it needs too many digits');
  const wide = Math.max(width, context.precision + 2 * GUARD) + 16;
  return { value: compute(wide), width: wide };
}

/** Σ flip^k / ((2k+1) n^(2k+1)): arctan 1/n for flip = -1, artanh 1/n for flip = 1. */
function inverseSeries(context: Context, n: bigint, width: number, flip: bigint): bigint {
  let power = (1n << BigInt(width)) / n;
  let sum = 0n;
  let signed = 1n;
  for (let k = 1n; power !== 0n; k += 2n) {
    sum += (signed * power) / k;
    power /= n * n;
    signed *= flip;
    spend(context.budget, 2 + (width >> 9));
  }
  return sum;
}

/** a^b = e^(b ln a) for a > 0. */
export function realPower(context: Context, a: Ball, b: Ball): Ball {
  return exponential(context, multiply(context, b, logarithm(context, a)));
}
