import { describe, expect, it } from 'vitest';
import { answerClass } from '../../../src/core/verify/index.ts';

describe('the class of an answer', () => {
  it.each([
    ['\\frac12', '0.5', '2/4', '\\dfrac{1}{2}', 'x=\\frac{1}{2}', '50/100', '**1/2**'],
    ['36', '\\$36', '36.0', '036', '36\\text{ cm}', '36^\\circ', '36%'],
    ['2\\sqrt3', '\\sqrt{12}', '\\frac{6}{\\sqrt3}', '2*sqrt(3)'],
    ['\\{1,2\\}', '2, 1', 'x=1 \\text{ or } x=2', '1 and 2'],
    ['1\\pm\\sqrt2', '1-\\sqrt2, 1+\\sqrt2'],
    ['(1,2)', '(2/2, 2)', '\\left(1, 2\\right)'],
    ['(0,1)\\cup(2,3)', '(2,3)\\cup(0,1)'],
    ['x^2-1', '(x-1)(x+1)', '-1+x^2'],
    ['3:4', '6:8'],
    ['\\text{East}', 'east', '\\text{east}.'],
    ['\\text{(C)}', 'C', '(C)'],
    ['x<2', '2>x'],
    ['1+2i', '2i+1'],
    ['\\begin{pmatrix}1\\\\2\\end{pmatrix}', '\\begin{bmatrix}1\\\\2\\end{bmatrix}'],
    ['\\emptyset', '\\{\\}'],
  ])('is one for %s', (first, ...others) => {
    for (const other of others) expect(answerClass(other)).toBe(answerClass(first));
  });

  it('is another for another answer', () => {
    const answers = [
      '1',
      '-1',
      '1/2',
      '\\sqrt2',
      '\\pi',
      'x',
      'y',
      'x^2',
      '(1,2)',
      '(2,1)',
      '[1,2]',
      '\\{1,2\\}',
      'yes',
      'no',
      'A',
      '3:4',
      'x<2',
      'x>2',
      'i',
      '\\infty',
      '-\\infty',
      '\\frac{',
      '',
      '52_8',
    ];
    expect(new Set(answers.map(answerClass)).size).toBe(answers.length);
  });
});
