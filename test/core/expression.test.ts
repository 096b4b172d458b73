import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evaluateExpression, normalForm, parseExpression } from '../../src/core/expression.ts';
import { rational, rationalText } from '../../src/core/rational.ts';

function valueOf(text: string): string {
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
  ])('%s is %s', (text, value) => expect(valueOf(text)).toBe(value));

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
  ])('refuses %j: %s', (text, reason) => expect(valueOf(text)).toContain(reason));

  it('refuses what is too long or too deep before computing anything', () => {
    expect(valueOf('('.repeat(100_000))).toContain('longer');
    expect(valueOf(`${'('.repeat(60)}1${')'.repeat(60)}`)).toContain('deeper');
    expect(valueOf(Array(200).fill('9').join('*'))).toBe(`${9n ** 200n}`);
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
    const tree = fc.letrec<{ e: string }>((tie) => ({
      e: fc.oneof(
        { maxDepth: 4 },
        fc.integer({ min: 0, max: 20 }).map(String),
        fc
          .tuple(tie('e'), fc.constantFrom('+', '-', '*', '/'), tie('e'), fc.boolean())
          .map(([l, o, r, brackets]) => (brackets ? `(${l}${o}${r})` : `${l}${o}${r}`)),
      ),
    })).e;
    fc.assert(
      fc.property(tree, (text) => {
        const result = evaluateExpression(text);
        // biome-ignore lint/security/noGlobalEval: the oracle of this test, on text that the test wrote.
        const expected = Number((0, eval)(text));
        if ('error' in result) {
          expect(result.error).toBe('division by zero');
          return;
        }
        const value = Number(result.value.numerator) / Number(result.value.denominator);
        expect(Math.abs(value - expected)).toBeLessThanOrEqual(1e-6 * Math.max(1, Math.abs(expected)));
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
