import { describe, expect, it } from 'vitest';
import { checkAnswer, isCheckable, parseAnswer } from '../../../src/core/verify/index.ts';
import { cases } from './written-cases.ts';

describe.each(Object.entries(cases))('%s', (_, list) => {
  it.each(list)('gold %s, answer %s: %s (%s)', (gold, prediction, equal) => {
    const verdict = checkAnswer(gold, prediction);
    expect(verdict.equal, verdict.reason).toBe(equal);
    expect(verdict.reason).not.toBe('');
  });
});

describe('the strict mode of rewards', () => {
  it.each([
    ['\\sqrt2', '1.4142135624', 'unknown or false', 'no approximations'],
    ['1.4142135624', '\\sqrt2', 'unknown or false', 'no approximations on either side'],
    ['1.25', '1.250001', 'unknown or false', 'decimals are exact'],
    ['156', '12\\cdot13', 'unknown or false', 'nothing left to be worked out'],
    ['10', '\\binom52', 'unknown or false', 'nothing left to be worked out'],
    ['(6,31,-1)', '6,31,-1', 'unknown or false', 'brackets belong to a tuple'],
    ['\\ln(x^2)', '2\\ln x', 'unknown or false', 'not equal where only the gold answer exists'],
    ['\\text{no one}', 'noone', 'unknown or false', 'words are words'],
    ['\\frac34', '\\frac68', 'true', 'fractions need not be reduced'],
    ['1024', '2^{10}', 'true', 'a power is worked out'],
    ['120000', '1.2\\times10^5', 'true', 'so is a number in scientific notation'],
    ['\\frac83', '2\\frac23', 'true', 'so is a mixed number'],
    ['3\\sqrt{13}', '\\sqrt{117}', 'true', 'what is not a plain number has many forms'],
    ['36', '\\$36', 'true', 'units are dropped'],
  ])('gold %s, answer %s: %s (%s)', (gold, prediction, wanted) => {
    const strict = checkAnswer(gold, prediction, { strict: true }).equal;
    expect(strict === true ? 'true' : 'unknown or false').toBe(wanted);
    // Everything that strict accepts is accepted without it, and most of the others too.
    expect(checkAnswer(gold, prediction).equal).toBe(true);
  });
});

describe('gold answers', () => {
  it.each(
    [
      ['', 'empty'],
      ['   ', 'empty'],
      ['\\frac{1}{', 'not closed'],
      ['\\frac{1}{0}', 'division by zero'],
      ['\\int_0^1 x dx', '\\int'],
      ['x \\mapsto x+1', '\\mapsto'],
      ['(1, \\frac{1}{0})', 'division by zero'],
      ['1/2+', 'ends too early'],
      ['('.repeat(1_000), 'deeper'],
      ['1,'.repeat(20_000), 'characters'],
      ['x+'.repeat(1_500), 'tokens'],
    ].map(([gold = '', reason = '']) => [gold.slice(0, 20), reason, gold] as const),
  )('%s cannot be checked: %s', (_, reason, gold) => {
    const checkable = isCheckable(gold);
    expect(checkable.ok ? 'checkable' : checkable.reason).toContain(reason);
    expect(checkAnswer(gold, gold).equal).toBe('unknown');
  });

  it.each([
    ['5', 'scalar'],
    ['(1,2)', 'tuple'],
    ['\\{1,2\\}', 'set'],
    ['1,2', 'list'],
    ['(0,1)\\cup(1,2)', 'union'],
    ['\\begin{pmatrix}1\\\\2\\end{pmatrix}', 'matrix'],
    ['x<2', 'chain'],
    ['3:4', 'ratio'],
    ['52_8', 'based'],
    ['\\text{east}', 'text'],
    ['\\text{(C)}', 'choice'],
    ['\\emptyset', 'named'],
  ])('%s is read as %s', (gold, kind) => {
    const parsed = parseAnswer(gold);
    expect(parsed.ok ? parsed.value.kind : parsed.error).toBe(kind);
    expect(isCheckable(gold)).toEqual({ ok: true });
    expect(checkAnswer(gold, gold).equal).toBe(true);
  });
});
