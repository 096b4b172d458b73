import { describe, expect, it } from 'vitest';
import { statesAnswer } from '../../../src/core/language/answers.ts';
import { deepProblem, deepTask } from '../../fakes/deep-task.ts';

/** A task whose answers have no class but their own text: the literal decides. */
const states = (text: string, literal: string) =>
  statesAnswer(text, [{ literal, answerClass: literal }], deepTask, deepProblem(9));

describe('a text', () => {
  it.each([
    ['that makes 16 in all', '16'],
    ['so $x=16$.', '16'],
    ['it is 3-16', '16'],
    ['we get $1{,}600$', '1600'],
    ['we get 1,600.', '1600'],
    ['$\\dfrac{1}{2}$ of it', '\\frac{1}{2}'],
    ['the point $\\left( 1, 2 \\right)$', '(1,2)'],
    ['it is −5 then', '-5'],
    ['option B it is', 'B'],
    ['we have $x^2 + 1$', 'x^2+1'],
    ['a total of 2.5.', '2.5'],
  ])('%j states %j', (text, literal) => {
    expect(states(text, literal)).toBe(true);
  });

  it.each([
    ['that makes 116 or 160', '16'],
    ['that makes 16.5', '16'],
    ['that makes 0.16', '16'],
    ['half is 1/2', '1'],
    ['it is -5 then', '5'],
    ['x = -5', '5'],
    ['But Bob', 'B'],
    ['', '16'],
  ])('%j does not state %j', (text, literal) => {
    expect(states(text, literal)).toBe(false);
  });

  it('states an answer that stands there in another form of its class', () => {
    const halves = { ...deepTask, answerClass: (_problem: unknown, answer: string) => String(Number(answer) === 0.5) };
    const half = [{ literal: '\\frac{1}{2}', answerClass: 'true' }];
    expect(statesAnswer('which is $0.5$ of it', half, halves, deepProblem(9))).toBe(true);
    expect(statesAnswer('so x = 0.50.', half, halves, deepProblem(9))).toBe(true);
    expect(statesAnswer('which is 0.6', half, halves, deepProblem(9))).toBe(false);
  });

  it('is searched in time that grows with its length, whatever it holds', () => {
    for (const part of ['$', '= ', '-', '1,', '\\frac{', '(', ' ', '1/']) {
      expect(states(part.repeat(20_000), '\\frac{1}{2}')).toBe(false);
    }
  });
});
