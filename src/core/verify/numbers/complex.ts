import { LimitError, UndefinedError } from '../limits.ts';
import type { Ball, Context } from './ball.ts';
import * as real from './ball.ts';
import { arctangent, exponential, logarithm, pi, realPower, sineAndCosine, squareRoot } from './elementary.ts';

/** A complex number of two balls; a real one has an imaginary part of exactly zero. */
export interface Complex {
  re: Ball;
  im: Ball;
}

export const ZERO: Complex = { re: real.ZERO, im: real.ZERO };
export const ONE: Complex = { re: real.ONE, im: real.ZERO };
export const I: Complex = { re: real.ZERO, im: real.ONE };

export function isReal(a: Complex): boolean {
  return real.isZero(a.im);
}

export function isZero(a: Complex): boolean {
  return real.isZero(a.re) && real.isZero(a.im);
}

export function fromReal(re: Ball): Complex {
  return { re, im: real.ZERO };
}

export function negate(a: Complex): Complex {
  return { re: real.negate(a.re), im: real.negate(a.im) };
}

export function add(context: Context, a: Complex, b: Complex): Complex {
  return { re: real.add(context, a.re, b.re), im: real.add(context, a.im, b.im) };
}

export function multiply(context: Context, a: Complex, b: Complex): Complex {
  if (isReal(a)) return { re: real.multiply(context, a.re, b.re), im: real.multiply(context, a.re, b.im) };
  if (isReal(b)) return multiply(context, b, a);
  return {
    re: real.subtract(context, real.multiply(context, a.re, b.re), real.multiply(context, a.im, b.im)),
    im: real.add(context, real.multiply(context, a.re, b.im), real.multiply(context, a.im, b.re)),
  };
}

export function divide(context: Context, a: Complex, b: Complex): Complex {
  if (isReal(b)) return { re: real.divide(context, a.re, b.re), im: real.divide(context, a.im, b.re) };
  const norm = squaredNorm(context, b);
  return divide(context, multiply(context, a, { re: b.re, im: real.negate(b.im) }), fromReal(norm));
}

function squaredNorm(context: Context, a: Complex): Ball {
  return real.add(context, real.multiply(context, a.re, a.re), real.multiply(context, a.im, a.im));
}

export function absolute(context: Context, a: Complex): Ball {
  return isReal(a) ? real.absolute(a.re) : squareRoot(context, squaredNorm(context, a));
}

/** The principal square root. @throws LimitError when it is not known on which side of the cut the value lies */
export function root(context: Context, a: Complex): Complex {
  if (isReal(a)) {
    if (real.sign(a.re) >= 0) return fromReal(squareRoot(context, a.re));
    return { re: real.ZERO, im: squareRoot(context, real.negate(a.re)) };
  }
  const size = absolute(context, a);
  const half = (x: Ball): Ball => ({ m: x.m, e: x.e - 1, r: x.r });
  if (real.sign(a.re) > 0) {
    const re = squareRoot(context, half(real.add(context, size, a.re)));
    return { re, im: half(real.divide(context, a.im, re)) };
  }
  const side = real.sign(a.im);
  if (side === 0) throw new LimitError('a root lies on a branch cut');
  const im = squareRoot(context, half(real.subtract(context, size, a.re)));
  const re = half(real.divide(context, real.absolute(a.im), im));
  return { re, im: side < 0 ? real.negate(im) : im };
}

export function exp(context: Context, a: Complex): Complex {
  const size = exponential(context, a.re);
  if (isReal(a)) return fromReal(size);
  const { sine, cosine } = sineAndCosine(context, a.im);
  return { re: real.multiply(context, size, cosine), im: real.multiply(context, size, sine) };
}

/** The principal logarithm. */
export function log(context: Context, a: Complex): Complex {
  if (isZero(a)) throw new UndefinedError('logarithm of zero');
  return { re: logarithm(context, absolute(context, a)), im: argument(context, a) };
}

/** In (-π, π]. */
export function argument(context: Context, a: Complex): Ball {
  if (isReal(a)) {
    if (real.sign(a.re) === 0) throw new LimitError('a number cannot be told from 0');
    return real.sign(a.re) > 0 ? real.ZERO : pi(context);
  }
  if (real.sign(a.re) > 0) return arctangent(context, real.divide(context, a.im, a.re));
  const side = real.sign(a.im);
  if (side === 0) throw new LimitError('an angle lies on a branch cut');
  const { m, e, r } = pi(context);
  const half: Ball = { m: side < 0 ? -m : m, e: e - 1, r };
  return real.subtract(context, half, arctangent(context, real.divide(context, a.re, a.im)));
}

/** a^b by the principal logarithm. */
export function power(context: Context, a: Complex, b: Complex): Complex {
  if (isReal(a) && isReal(b) && real.sign(a.re) > 0) return fromReal(realPower(context, a.re, b.re));
  return exp(context, multiply(context, b, log(context, a)));
}

export function integerPower(context: Context, a: Complex, exponent: bigint): Complex {
  if (isReal(a)) return fromReal(real.integerPower(context, a.re, exponent));
  if (exponent < 0n) return divide(context, ONE, integerPower(context, a, -exponent));
  if (exponent > 1_000_000n) throw new LimitError('an exponent is too large');
  return real.bySquaring(ONE, a, exponent, (b, c) => multiply(context, b, c));
}
