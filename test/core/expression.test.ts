import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evaluateExpression, normalForm, parseExpression } from '../../src/core/expression.ts';
import { rational, rationalText } from '../../src/core/rational.ts';

function resultOf(text: string): string {
  const result = evaluateExpression(text);
  return 'error' in result ? `error: ${result.error}` : rationalText(result.value);
}

function normal(text: string): string {
  const expression = parseExpression(text);
  return 'error' in expression ? expression.error : normalForm(expression);
}

describe('exact fractions', () => {
  it('are in lowest terms with a positive denominator', () => {
    expect(rationalText(rational(6, -4))).toBe('-3/2');
    expect(rationalText(rational(0, -7))).toBe('0');
    expect(() => rational(1, 0)).toThrow(RangeError);
  });
});

describe('evaluating an expression', () => {
  it.each([
    ['(9*4)+3', '39'],
    [' 2 + 3 * 4 ', '14'],
    ['8/(3-8/3)', '24'],
    ['10-4-3', '3'],
    ['24/4/3', '2'],
    ['1/3', '1/3'],
    ['3-5', '-2'],
    ['((7))', '7'],
  ])('%s is %s', (text, value) => expect(resultOf(text)).toBe(value));

  it.each([
    ['', 'ends too early'],
    ['1+', 'ends too early'],
    ['-3+4', 'unexpected "-"'],
    ['2**3', 'unexpected "*"'],
    ['(1+2', 'not closed'],
    ['1+2)', 'unexpected ")"'],
    ['1.5+2', 'unexpected "."'],
    ['2 3', 'unexpected "3"'],
    ['4/(2-2)', 'division by zero'],
    ['process.exit(1)', 'unexpected "p"'],
    ['1234567890123456', 'too long'],
  ])('refuses %j: %s', (text, reason) => expect(resultOf(text)).toContain(reason));

  it('refuses what is too long or too deep before computing anything', () => {
    expect(resultOf('('.repeat(100_000))).toContain('longer');
    expect(resultOf(`${'('.repeat(60)}1${')'.repeat(60)}`)).toContain('deeper');
    expect(resultOf(Array(200).fill('9').join('*'))).toBe(`${9n ** 200n}`);
  });

  it('lists the numbers in order of appearance', () => {
    expect(evaluateExpression('(9*4)+12')).toMatchObject({ numbers: [9, 4, 12] });
  });

  it('never throws, whatever the text', () => {
    const characters = fc.constantFrom(...'0123456789+-*/() .x'.split(''));
    fc.assert(fc.property(fc.string({ unit: characters, maxLength: 60 }), (text) => void evaluateExpression(text)));
    fc.assert(fc.property(fc.string(), (text) => void evaluateExpression(text)));
  });

  it('agrees with floating-point arithmetic', () => {
    const operations: Record<string, (a: number, b: number) => number> = {
      '+': (a, b) => a + b,
      '-': (a, b) => a - b,
      '*': (a, b) => a * b,
      '/': (a, b) => a / b,
    };
    interface Sum {
      text: string;
      value: number;
    }
    const sum = fc.letrec<{ sum: Sum }>((tie) => ({
      sum: fc.oneof(
        { maxDepth: 4 },
        fc.integer({ min: 0, max: 20 }).map((value) => ({ text: `${value}`, value })),
        fc.tuple(tie('sum'), fc.constantFrom(...Object.keys(operations)), tie('sum')).map(([a, operator, b]) => ({
          text: `(${a.text}${operator}${b.text})`,
          value: operations[operator]!(a.value, b.value),
        })),
      ),
    })).sum;
    fc.assert(
      fc.property(sum, ({ text, value }) => {
        const result = evaluateExpression(text);
        if ('error' in result) {
          expect(result.error).toBe('division by zero');
          return;
        }
        const exact = Number(result.value.numerator) / Number(result.value.denominator);
        // Floating point may miss a zero denominator that exact arithmetic sees, never the other way round.
        if (Number.isFinite(value))
          expect(Math.abs(exact - value)).toBeLessThanOrEqual(1e-6 * Math.max(1, Math.abs(exact)));
      }),
    );
  });
});

describe('the normal form', () => {
  it('ignores spacing, brackets, order and grouping of sums and products', () => {
    expect(normal('3+9*4')).toBe(normal('(4 * 9)+3'));
    expect(normal('1+(2+3)')).toBe(normal('(3+1)+2'));
  });

  it('keeps what is a different way to the value', () => {
    expect(normal('5-3')).not.toBe(normal('3-5'));
    expect(normal('2*3+4')).not.toBe(normal('2+3*4'));
    expect(normal('8-(4-2)')).not.toBe(normal('8-4-2'));
  });
});
