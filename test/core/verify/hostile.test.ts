import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { answerClass, checkAnswer, extractAnswer, isCheckable, parseAnswer } from '../../../src/core/verify/index.ts';
import { LimitError, newBudget, OPERATIONS, spend } from '../../../src/core/verify/limits.ts';

const many = (text: string, count: number): string => text.repeat(count);
const tower = (height: number): string => `${many('9^{', height)}9${many('}', height)}`;

const hostile: readonly string[] = [
  ...[
    '9^{9^{9}}',
    '9^{9^{9^{9}}}',
    tower(50),
    tower(199),
    tower(400),
    '7^{123456789}',
    'e^{e^{e^{e^{e}}}}',
    '2^{2^{2^{2^{2^2}}}}',
  ],
  ...[
    '6000!',
    '20000!',
    '1000000!',
    '((100!)!)!',
    '3!!!!!!!!!!',
    '5999!/5998!',
    '\\binom{100000}{50000}',
    '\\binom{n}{1000}',
  ],
  ...[many('9', 10_000), many('9', 15_999), many('9', 100_000), `${many('9', 10_000)}/${many('7', 9_999)}`],
  ...[
    `\\sqrt{${many('9', 10_000)}}`,
    `(${many('9', 5_000)})^{${many('9', 5_000)}}`,
    `\\cos(${many('9', 5_000)})`,
    `i^{${many('9', 5_000)}}`,
  ],
  ...[
    many('(', 100_000),
    `${many('(', 150)}1${many(')', 150)}`,
    many('{', 5_000),
    `${many('\\frac{1}{', 150)}2${many('}', 150)}`,
    `${many('1\\frac{', 60)}1${many('}{2}', 60)}`,
  ],
  ...[
    `${many('\\sqrt{', 150)}2${many('}', 150)}`,
    `${many('\\sin(', 150)}2${many(')', 150)}`,
    `${many('-', 1_999)}1`,
    many('|', 1_000),
  ],
  ...[
    `\\boxed{${many('{', 1_000_000)}`,
    many('\\boxed{', 150_000),
    many('a', 1_000_000),
    `5 ${many('a', 29_000)}^-`,
    `option${many(' ', 29_000)}z`,
    many(' ', 1_000_000),
    many('$', 10_000),
  ],
  ...[
    `${many('x+', 900)}x`,
    `${many('x*', 900)}x`,
    `${many('\\sin x+', 600)}1`,
    `${many('1,', 900)}1`,
    `${many('\\sqrt2,', 400)}1`,
  ],
  ...[
    `${many('(\\sqrt{2},3)\\cup', 150)}(3,4)`,
    `\\begin{pmatrix}${many('1&', 400)}1\\end{pmatrix}`,
    many('\\text{', 3_000),
  ],
  ...[
    '\\sin(10^{10000})',
    '\\ln(10^{10000})',
    '10^{10^{10}}+1',
    '(x+1)^{100000}',
    '(1+i)^{100000}',
    'x^{x^{x^{x}}}',
    '1e99999999999',
  ],
  ...[
    '\\tan(\\pi/2)',
    '\\frac00',
    '\\log_1 2',
    '0^{0}',
    '\\sqrt[0]{2}',
    '\\ln 0',
    '(-1)!',
    '\\u0000',
    '\u0000',
    '\ud800',
    `1${many('̸', 5_000)}`,
  ],
  ...[
    many('½', 3_000),
    many('²', 3_000),
    `1${many('\\\\ ', 9_000)}x`,
    `\\begin{align}${many('\\\\', 9_000)}1\\end{align}`,
    `1${many(' ', 29_000)}\\\\2`,
    many('1 ', 900),
    `${many('1:', 900)}1`,
    many('\\pm', 100),
    `0.${many('3', 15_000)}`,
    many('.', 10_000),
  ],
];

describe('hostile texts', () => {
  it.each(hostile.map((text) => [text.slice(0, 40), text] as const))('%s… gets a verdict', (_, text) => {
    for (const [gold, prediction] of [
      ['5', text],
      ['\\sqrt{x+2}', text],
      ['(1,2)', text],
      [text, '5'],
      [text, text],
      [text, `${text}+1`],
    ] as const) {
      const verdict = checkAnswer(gold, prediction);
      expect([true, false, 'unknown']).toContain(verdict.equal);
    }
    expect(checkAnswer('5', text).equal).not.toBe(true);
    expect(typeof answerClass(text)).toBe('string');
    expect(answerClass(text).length).toBeLessThan(500);
    expect(typeof isCheckable(text).ok).toBe('boolean');
    extractAnswer(text);
  });

  it('cost no more operations than the budget has', () => {
    const budget = newBudget();
    expect(() => {
      for (let i = 0; i <= OPERATIONS; i++) spend(budget);
    }).toThrow(LimitError);
  });
});

/** Pieces that formulas are made of, thrown together. */
const pieces = (
  '\\frac \\sqrt \\left( \\right) \\{ \\} { } ( ) [ ] ^ _ + - * / = < > , ; : | ! % $ & \\\\ 0 1 2 9 10 1,000 0.5 1e5 x y n ' +
  'pi e i sin \\sin \\log \\ln \\pi \\infty \\cup \\in \\pm \\mp \\cdot \\text{ab} \\text{or} and cm apples \\circ ^\\circ ' +
  '\\begin{pmatrix} \\end{pmatrix} \\binom \\boxed \\lfloor \\rfloor \\le \\ne √ ² π ∞ ≤ ∪ ½ \\, \\! . .. \\overline{3} \\mathbb{R} ' +
  '\\choose \\over \\setminus \\emptyset f( |x| \\mathrm{e} 3:4 52_8 \u0000 '
).split(' ');

describe('random texts', () => {
  const text = fc.oneof(
    fc.string({ maxLength: 60 }),
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc.array(fc.constantFrom(...pieces), { maxLength: 25 }).map((parts) => parts.join('')),
    fc.array(fc.constantFrom(...pieces), { maxLength: 25 }).map((parts) => parts.join(' ')),
  );

  it('never throw, and what is read is equal to itself or undecided', () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        const verdict = checkAnswer(a, b);
        expect([true, false, 'unknown']).toContain(verdict.equal);
        expect(typeof verdict.reason).toBe('string');
        if (parseAnswer(a).ok) expect(checkAnswer(a, a).equal).not.toBe(false);
        else expect(checkAnswer(a, a).equal).toBe('unknown');
        answerClass(a);
        extractAnswer(a);
        isCheckable(a);
      }),
      { numRuns: 2_000 },
    );
  });

  it('give the same verdict every time', () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(checkAnswer(a, b)).toEqual(checkAnswer(a, b));
        expect(answerClass(a)).toBe(answerClass(a));
      }),
      { numRuns: 200 },
    );
  });
});
