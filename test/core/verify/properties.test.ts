import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { answerClass, checkAnswer } from '../../../src/core/verify/index.ts';

/** A value with one way to write it; `perturbed` is the same writing of another value. */
interface Written {
  text: string;
  other: string;
}

const whole = fc.integer({ min: 1, max: 999 });

const leaf: fc.Arbitrary<Written> = fc.oneof(
  whole.map((n) => ({ text: `${n}`, other: `${n + 1}` })),
  fc.tuple(whole, whole).map(([a, b]) => ({ text: `\\frac{${a}}{${b}}`, other: `\\frac{${a}}{${b + 1}}` })),
  whole.map((n) => ({ text: `\\sqrt{${n}}`, other: `\\sqrt{${n + 1}}` })),
  fc.constantFrom('x', 'y').map((name) => ({ text: name, other: `${name}^2` })),
  fc.constant({ text: '\\pi', other: '\\frac{22}{7}' }),
);

const { expression } = fc.letrec<{ expression: Written }>((tie) => ({
  expression: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc
      .tuple(tie('expression'), tie('expression'))
      .map(([a, b]) => ({ text: `(${a.text}+${b.text})`, other: `(${a.other}+${b.text})` })),
    fc
      .tuple(tie('expression'), leaf)
      .map(([a, b]) => ({ text: `(${a.text}-${b.text})`, other: `(${a.other}-${b.text})` })),
    fc
      .tuple(leaf, tie('expression'))
      .map(([a, b]) => ({ text: `${a.text} \\cdot ${b.text}`, other: `${a.other} \\cdot ${b.text}` })),
    fc
      .tuple(tie('expression'), whole)
      .map(([a, n]) => ({ text: `\\frac{${a.text}}{${n}}`, other: `\\frac{${a.other}}{${n}}` })),
  ),
}));

const small = { numRuns: 150 };
const verdict = (gold: string, prediction: string): boolean | 'unknown' => checkAnswer(gold, prediction).equal;

describe('for any formula, the checker', () => {
  it('accepts it for itself and puts both into one class', () => {
    fc.assert(
      fc.property(expression, ({ text }) => {
        expect(verdict(text, text)).toBe(true);
        expect(verdict(text, `${text}+0`)).toBe(true);
        expect(answerClass(text)).toBe(answerClass(`$${text}$`));
      }),
      small,
    );
  });

  it('gives the same verdict from both sides', () => {
    fc.assert(
      fc.property(expression, expression, (a, b) => {
        expect(verdict(a.text, b.text)).toBe(verdict(b.text, a.text));
      }),
      small,
    );
  });

  it('does not mind how it is set', () => {
    fc.assert(
      fc.property(expression, ({ text }) => {
        const sized = text.replaceAll('(', '\\left( ').replaceAll(')', '\\right)').replaceAll('\\frac', '\\dfrac');
        const plain = text
          .replaceAll(/\\frac\{(\d+)\}\{(\d+)\}/g, '($1/$2)')
          .replaceAll(/\\sqrt\{(\d+)\}/g, 'sqrt($1)')
          .replaceAll('\\pi', 'pi')
          .replaceAll('\\cdot', '*');
        expect(verdict(text, sized)).toBe(true);
        expect(verdict(text, text.replaceAll('+', ' + '))).toBe(true);
        expect(verdict(text, plain)).toBe(true);
      }),
      small,
    );
  });

  it('does not mind the order of sums and products, nor common factors', () => {
    fc.assert(
      fc.property(expression, expression, whole, (a, b, n) => {
        // π - π times something is 0, which no enclosure shows: undecided.
        fc.pre(!/(\\pi|\\sqrt\{\d+\})-\1/.test(`${a.text} ${b.text}`));
        expect(verdict(`${a.text}+${b.text}`, `${b.text}+${a.text}`)).toBe(true);
        expect(verdict(`(${a.text})(${b.text})`, `(${b.text})(${a.text})`)).toBe(true);
        expect(verdict(a.text, `\\frac{${n}(${a.text})}{${n}}`)).toBe(true);
        expect(verdict(`(${a.text})+(${b.text})`, `(${a.text})-(-(${b.text}))`)).toBe(true);
      }),
      small,
    );
  });

  it('never accepts another value', () => {
    fc.assert(
      fc.property(expression, ({ text }) => {
        expect(verdict(text, `${text}+1`)).not.toBe(true);
        expect(verdict(text, `${text}+10^{-20}`)).not.toBe(true);
        expect(verdict(text, `(${text}) \\cdot 1.0000001`)).toBe(
          text.includes('0-0') ? true : verdict(text, '0') === true,
        );
      }),
      small,
    );
  });

  it('refuses it with one part changed', () => {
    fc.assert(
      fc.property(leaf, expression, ({ text, other }, rest) => {
        expect(verdict(`${text}+${rest.text}`, `${other}+${rest.text}`)).toBe(text === other);
      }),
      small,
    );
  });
});

describe('for any fractions, the checker', () => {
  it('is exact', () => {
    fc.assert(
      fc.property(
        fc.bigInt(-(10n ** 30n), 10n ** 30n),
        fc.bigInt(1n, 10n ** 30n),
        fc.bigInt(1n, 10n ** 6n),
        (a, b, k) => {
          expect(verdict(`\\frac{${a}}{${b}}`, `${a * k}/${b * k}`)).toBe(true);
          expect(verdict(`\\frac{${a}}{${b}}`, `${a * k + 1n}/${b * k}`)).toBe(false);
        },
      ),
      small,
    );
  });

  it('puts equal ones into one class and others into others', () => {
    fc.assert(
      fc.property(whole, whole, whole, whole, (a, b, c, d) => {
        expect(answerClass(`\\frac{${a}}{${b}}`) === answerClass(`${c}/${d}`)).toBe(a * d === b * c);
      }),
      small,
    );
  });
});

describe('for any collections, the checker', () => {
  const items = fc.uniqueArray(whole, { minLength: 2, maxLength: 6 });

  it('ignores the order of sets, lists and unions but not of tuples', () => {
    fc.assert(
      fc.property(items, (list) => {
        const reversed = [...list].reverse();
        expect(verdict(`\\{${list.join(',')}\\}`, `\\{${reversed.join(', ')}\\}`)).toBe(true);
        expect(verdict(`\\{${list.join(',')}\\}`, reversed.join(', '))).toBe(true);
        expect(verdict(`(${list.join(',')})`, `(${reversed.join(',')})`)).toBe(false);
        expect(verdict(`\\{${list.join(',')}\\}`, `\\{${list.slice(1).join(',')}\\}`)).not.toBe(true);
        expect(answerClass(`\\{${list.join(',')}\\}`)).toBe(answerClass(reversed.join(', ')));
        const unions = (numbers: number[]): string => numbers.map((n) => `(${2 * n},${2 * n + 1})`).join('\\cup ');
        expect(verdict(unions(list), unions(reversed))).toBe(true);
        expect(verdict(unions(list), unions(list.slice(1)))).toBe(false);
      }),
      small,
    );
  });
});
