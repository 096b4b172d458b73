import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mathTask } from '../../src/core/tasks/math.ts';
import { trimEndOf } from '../../src/core/trim-end.ts';

describe('what a text ends with', () => {
  it('is left out as the pattern would, of any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('.', ' ', '\n', 'a') }), (text) => {
        expect(trimEndOf(text, '. ')).toBe(text.replace(/[. ]+$/, ''));
      }),
    );
  });

  it('costs no more than its length where a model wrote a million of them', () => {
    const text = `The answer is ${'.'.repeat(1_000_000)}!`;
    const problem = { id: 'p', data: { problem: 'What?', answer: '5' } };
    expect(mathTask.create({ name: 'math' } as never).readAttempt?.(problem as never, '', text)).toMatchObject({
      correct: expect.anything(),
    });
    expect(trimEndOf(`${'\n'.repeat(1_000_000)}x`, '\n')).toHaveLength(1_000_001);
  });
});
