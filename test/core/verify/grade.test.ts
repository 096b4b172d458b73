import { describe, expect, it } from 'vitest';
import { gradeRow } from '../../../src/core/verify/index.ts';

const row = (fields: unknown) => {
  const graded = gradeRow(fields);
  return graded.kind === 'bad' ? graded.message : graded.row;
};

describe('grading a row', () => {
  it('keeps every other field', () => {
    expect(row({ id: 7, tags: ['a'], gold: '5', prediction: '5.0' })).toEqual({
      ...{ id: 7, tags: ['a'], gold: '5', prediction: '5.0' },
      ...{ verdict: true, extracted: '5.0', reason: 'the same number' },
    });
  });

  it.each<[string, Record<string, unknown>, unknown, unknown]>([
    ['a bare gold answer', { gold: '\\frac12', prediction: '0.5' }, true, '0.5'],
    ['a gold solution of GSM8K', { gold: '9*2 = 18\n#### 18', prediction: '18' }, true, '18'],
    ['a gold solution with a box', { gold: 'so $\\boxed{18}$', prediction: '18' }, true, '18'],
    ['a gold number', { gold: 18, prediction: 18 }, true, '18'],
    ['a small gold number', { gold: 2e-7, prediction: '2 \\times 10^{-7}' }, true, '2 \\times 10^{-7}'],
    ['a whole text', { gold: '18', response: 'It is \\boxed{18}.' }, true, '18'],
    ['a text in the manner of GSM8K', { gold: '18', response: 'It is\n#### 18' }, true, '18'],
    ['a text without an answer', { gold: '18', response: 'It is 18.' }, false, null],
    ['no text at all', { gold: '18', response: null }, false, null],
    ['a box as prediction', { gold: '18', prediction: 'So \\boxed{18}' }, true, '18'],
    ['a wrong answer', { gold: '18', prediction: '19' }, false, '19'],
    ['a gold answer that cannot be read', { gold: '\\frac{', prediction: '19' }, 'unknown', '19'],
  ])('reads %s', (_, fields, verdict, extracted) => expect(row(fields)).toMatchObject({ verdict, extracted }));

  it('says why a text without a box is wrong', () => {
    expect(row({ gold: '18', response: 'It is 18.' })).toMatchObject({ verdict: false, reason: 'no boxed answer' });
  });

  it('can be strict', () => {
    expect(gradeRow({ gold: '\\sqrt2', prediction: '1.4142135624' }).kind).toBe('verdict');
    expect(gradeRow({ gold: '\\sqrt2', prediction: '1.4142135624' })).toMatchObject({ verdict: true });
    expect(gradeRow({ gold: '\\sqrt2', prediction: '1.4142135624' }, { strict: true })).toMatchObject({
      verdict: false,
    });
  });

  it('only extracts when asked to', () => {
    expect(row({ kind: 'extract', response: 'so \\boxed{x}', n: 1 })).toEqual({
      ...{ kind: 'extract', response: 'so \\boxed{x}', n: 1 },
      extracted: 'x',
    });
    expect(row({ kind: 'extract', response: 'nothing' })).toMatchObject({ extracted: null });
  });

  it.each<[unknown, string]>([
    [null, 'not a JSON object'],
    [[1], 'not a JSON object'],
    ['5', 'not a JSON object'],
    [{}, 'has no "gold"'],
    [{ prediction: '5' }, 'has no "gold"'],
    [{ gold: null, prediction: '5' }, '"gold" is neither'],
    [{ gold: '5' }, 'has neither "prediction" nor "response"'],
    [{ gold: '5', prediction: ['5'] }, '"prediction" is neither'],
    [{ gold: '5', response: {} }, '"response" is neither'],
    [{ gold: 2 ** 53, prediction: '5' }, 'below 2^53'],
    [{ gold: '5', prediction: '5', response: '6' }, 'both'],
    [{ kind: 'extract' }, 'has no "response"'],
  ])('refuses %j: %s', (fields, message) => expect(row(fields)).toContain(message));
});
