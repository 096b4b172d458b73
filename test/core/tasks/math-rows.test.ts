import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Json, ProblemRowError, UnusableProblem } from '../../../src/core/problem.ts';
import { mathFormats, normalizeProblem, readMathRow } from '../../../src/core/tasks/math-rows.ts';

const read = (row: Json) => readMathRow(row, 'auto');
const problem = 'Find the value of $2 + 3$.';

describe('rows of maths', () => {
  it.each<[string, Json, object]>([
    ['GSM8K', { question: problem, answer: 'It is 2+3=<<2+3=5>>5.\n#### 5' }, { answer: '5', format: 'gsm8k' }],
    [
      'GSM8K with thousands',
      { question: problem, answer: 'First #### 1\n####  1,234 ' },
      { answer: '1,234', format: 'gsm8k' },
    ],
    [
      'MATH',
      { problem, solution: 'So $\\boxed{4}$.', answer: '5', subject: 'Algebra', level: 2, unique_id: 'test/1.json' },
      { answer: '5', format: 'math', level: 2, subject: 'Algebra' },
    ],
    [
      'MATH of the first release, whose answer stands in the solution',
      { problem, level: 'Level 5', type: 'Geometry', solution: 'Not $\\boxed{4}$: $\\boxed{\\frac{1}{2}}$.' },
      { answer: '\\frac{1}{2}', format: 'math', level: 5, subject: 'Geometry' },
    ],
    [
      'MATH without a known level',
      { problem, level: 'Level ?', type: 'Geometry', solution: '$\\boxed{4}$' },
      { answer: '4', format: 'math', subject: 'Geometry' },
    ],
    [
      'AIME with leading zeros',
      { id: 'aime-2', problem, answer: '033', url: 'https://example.org/AIME_I/2' },
      { answer: '33', format: 'aime' },
    ],
    [
      'AIME with a number and a solution',
      { ID: '2024-II-4', Problem: problem, Solution: 'So \\boxed{033}.', Answer: 33 },
      { answer: '33', format: 'aime' },
    ],
    [
      'AIME whose answer stands in the solution',
      { id: 60, problem, solution: '\\boxed{204}', url: 'https://example.org/aime' },
      { answer: '204', format: 'aime' },
    ],
    [
      'AMC with floats',
      { id: 7, problem, answer: 27.0, url: 'https://example.org/AMC_12A' },
      { answer: '27', format: 'amc' },
    ],
    ['AMC with floats in texts', { id: 'amc-3', problem, answer: '-4.0' }, { answer: '-4', format: 'amc' }],
    ['plain', { problem, answer: '\\frac12' }, { answer: '\\frac12', format: 'plain' }],
    ['plain with other names', { question: problem, answer: 0.5 }, { answer: '0.5', format: 'plain' }],
    ['plain with a boxed answer', { problem, answer: '$\\boxed{5}$' }, { answer: '5', format: 'plain' }],
  ])('of %s are read', (_name, row, data) => {
    expect(read(row).data).toEqual({ problem, ...data });
  });

  it('can be named instead of detected', () => {
    expect(readMathRow({ question: problem, answer: '033' }, 'aime').data.answer).toBe('33');
    expect(readMathRow({ question: problem, answer: 27 }, 'amc').data).toMatchObject({ answer: '27', format: 'amc' });
    expect(readMathRow({ problem, solution: '\\boxed{1}', answer: '2' }, 'plain').data.format).toBe('plain');
  });

  it.each<[Json, Parameters<typeof readMathRow>[1], string]>([
    [null, 'auto', 'is an object'],
    [['a'], 'auto', 'is an object'],
    ['text', 'plain', 'is an object'],
    [{}, 'auto', 'gsm8k: no "question"; math: no "problem"; plain: no "problem"'],
    [{ problem }, 'auto', 'math: no "solution"; plain: no "answer", a text or a number'],
    [{ problem: ' ', answer: '5' }, 'auto', 'plain: no "problem"'],
    [{ problem, answer: ' ' }, 'auto', 'plain: no "answer"'],
    [{ problem, answer: ['5'] }, 'auto', 'plain: no "answer"'],
    [{ problem, answer: 2 ** 60 }, 'auto', 'plain: no "answer"'],
    [{ question: problem, answer: '5' }, 'gsm8k', 'gsm8k: no "answer" that ends in "#### N"'],
    [{ question: problem, answer: 'so 5\n#### ' }, 'gsm8k', '"#### N"'],
    [{ problem, answer: '5' }, 'math', 'math: no "solution"'],
    [{ problem, answer: '1000' }, 'aime', 'aime: no "answer" from 0 to 999'],
    [{ problem, answer: '3/4' }, 'aime', 'from 0 to 999'],
  ])('like %j are refused as %s', (row, format, message) => {
    expect(() => readMathRow(row, format)).toThrow(ProblemRowError);
    expect(() => readMathRow(row, format)).toThrow(message);
  });

  it('whose answer cannot be checked are unusable, with the reason', () => {
    const unusable: Json[] = [
      { problem, solution: 'It is left to the reader.' },
      { problem, solution: 'So \\boxed{' },
      { problem, answer: '\\frac{1}{' },
    ];
    for (const row of unusable) expect(() => read(row)).toThrow(UnusableProblem);
    expect(() => read({ problem, solution: 'No box.' })).toThrow('holds no boxed answer');
    expect(() => read({ problem, answer: '\\frac{1}{' })).toThrow('"\\frac{1}{" cannot be checked: ');
  });

  it('throw nothing else, whatever they hold', () => {
    const value = fc.oneof(fc.string(), fc.double(), fc.constant(null), fc.array(fc.string()));
    const name = fc.constantFrom('problem', 'question', 'answer', 'solution', 'id', 'level', 'type', 'url');
    fc.assert(
      fc.property(fc.dictionary(name, value), fc.constantFrom('auto' as const, ...mathFormats), (row, format) => {
        try {
          expect(readMathRow(row as Json, format).data.answer).not.toBe('');
        } catch (error) {
          expect(error instanceof ProblemRowError || error instanceof UnusableProblem).toBe(true);
        }
      }),
    );
  });
});

describe('ids', () => {
  it('are given, or made from the text', () => {
    expect(read({ id: 'mine', problem, answer: '5' }).id).toBe('mine');
    expect(read({ problem, solution: '\\boxed{5}', unique_id: 'test/algebra/1.json' }).id).toBe('test/algebra/1.json');
    expect(read({ id: 60, problem, answer: '5' }).id).toBe('plain-60');
    expect(read({ id: 0, problem, answer: 5, url: 'amc' }).id).toBe('amc-0');
    expect(read({ problem, answer: '5' }).id).toMatch(/^plain-[0-9a-f]{12}$/);
  });

  it('made from the text do not change with spaces, and do with words', () => {
    const id = (text: string) => read({ problem: text, answer: '5' }).id;
    expect(id('What  is\n5?')).toBe(id(' What is 5?\u200b'));
    expect(id('What is 5?')).not.toBe(id('What is 6?'));
  });
});

describe('a normalised problem', () => {
  it('is normal', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(normalizeProblem(normalizeProblem(text))).toBe(normalizeProblem(text));
      }),
    );
  });
});
