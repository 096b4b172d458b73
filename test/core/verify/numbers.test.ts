import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LimitError, newBudget } from '../../../src/core/verify/limits.ts';
import * as ball from '../../../src/core/verify/numbers/ball.ts';
import {
  arctangent,
  exponential,
  logarithm,
  pi,
  sineAndCosine,
  squareRoot,
} from '../../../src/core/verify/numbers/elementary.ts';
import { type Fraction, fraction, power } from '../../../src/core/verify/numbers/fraction.ts';

const rationals: fc.Arbitrary<Fraction> = fc
  .tuple(fc.bigInt(-(10n ** 6n), 10n ** 6n), fc.bigInt(1n, 10n ** 4n))
  .map(([n, d]) => fraction(n, d));
const positive = rationals.map(({ n, d }) => fraction(n < 0n ? -n + 1n : n + 1n, d));

/** Two balls which enclose one number must touch, and both must be narrow. */
function expectSame(context: ball.Context, a: ball.Ball, b: ball.Ball): void {
  expect(ball.touchesZero(ball.subtract(context, a, b))).toBe(true);
  const size = Math.max(ball.magnitude(a), ball.magnitude(b), -8);
  expect(ball.uncertainty(a)).toBeLessThan(size - context.precision + 40);
}

describe.each([128, 320, 1_000])('enclosures of %i bits', (precision) => {
  const setting = () => ball.newContext(precision, newBudget());

  it('hold the identities of the elementary functions', () => {
    fc.assert(
      fc.property(rationals, positive, (p, q) => {
        const context = setting();
        const [x, y] = [ball.fromFraction(context, p), ball.fromFraction(context, q)];
        expectSame(context, ball.multiply(context, squareRoot(context, y), squareRoot(context, y)), y);
        expectSame(context, exponential(context, logarithm(context, y)), y);
        const { sine, cosine } = sineAndCosine(context, x);
        const squares = ball.add(context, ball.multiply(context, sine, sine), ball.multiply(context, cosine, cosine));
        expectSame(context, squares, ball.ONE);
        const back = sineAndCosine(context, arctangent(context, x));
        expectSame(context, ball.divide(context, back.sine, back.cosine), x);
      }),
      { numRuns: 60 },
    );
  });

  it('agree with doubles', () => {
    fc.assert(
      fc.property(fc.integer({ min: -5_000, max: 5_000 }), (n) => {
        const context = setting();
        const x = ball.fromFraction(context, fraction(BigInt(n), 100n));
        const near = (value: ball.Ball, double: number): void => expect(ball.toNumber(value)).toBeCloseTo(double, 9);
        near(sineAndCosine(context, x).sine, Math.sin(n / 100));
        near(sineAndCosine(context, x).cosine, Math.cos(n / 100));
        near(arctangent(context, x), Math.atan(n / 100));
        if (n > 0) near(logarithm(context, x), Math.log(n / 100));
        if (n < 700) near(exponential(context, x), Math.exp(n / 100));
      }),
      { numRuns: 60 },
    );
  });

  it('know π', () => {
    const context = setting();
    const digits = fraction(31415926535897932384626433832795028841971n, 10n ** 40n);
    const error = ball.subtract(context, pi(context), ball.fromFraction(context, digits));
    expect(ball.magnitude(error)).toBeLessThan(-Math.min(precision - 10, 128));
  });
});

describe('exact numbers', () => {
  it('are refused before they grow too large', () => {
    expect(() => power(fraction(7n), 10n ** 9n)).toThrow(LimitError);
    expect(() => power(fraction(2n, 3n), 10n ** 6n)).toThrow(LimitError);
    expect(power(fraction(-1n), 10n ** 9n + 1n)).toEqual(fraction(-1n));
  });
});
