import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  accuracyAtCaps,
  behaviour,
  countAnswers,
  countBacktracks,
  isRight,
  type Revised,
  revisions,
} from '../../src/core/behaviour.ts';

const phrases = { backtrackMarker: 'Wait' };
const answer = (
  text: string,
  correct: boolean | 'unknown',
  tokens: number,
  stopReason: 'stop' | 'length' = 'stop',
) => ({
  text,
  tokens,
  stopReason,
  verdict: { correct, reason: '', ...(text.includes('boxed') && { answer: '1+1' }) },
});

describe('backtracks of an answer', () => {
  it('are the markers in its text', () => {
    expect(countBacktracks('36-3=33 is not 39\nWait go back to 3 36 to make 39\n36+3=39 is 39\n', phrases)).toBe(1);
    expect(countBacktracks('Wait start over\nWait start over\nWait', phrases)).toBe(3);
    expect(countBacktracks('', phrases)).toBe(0);
  });
});

describe('behaviour of a checkpoint', () => {
  const answers = [
    answer('a Wait b boxed', true, 40),
    answer('a boxed', true, 20),
    answer('a Wait b Wait c', false, 60, 'length'),
    answer('a boxed', false, 20),
  ];

  it('splits backtracks by outcome and counts recoveries', () => {
    expect(behaviour(answers, phrases)).toEqual({
      answers: 4,
      tokensPerAnswer: 35,
      tokensPerCorrectAnswer: 70,
      backtracksPerAnswer: 0.75,
      backtracksWhenRight: 0.5,
      backtracksWhenWrong: 1,
      backtracked: 0.5,
      recoveries: 0.25,
      truncated: 0.25,
      unanswered: 0.25,
      undecided: 0,
    });
  });

  it('has no mean where there is no such answer', () => {
    expect(behaviour([answers[0]!], phrases)).toMatchObject({ backtracksWhenWrong: null });
    expect(behaviour([answers[3]!], phrases)).toMatchObject({
      backtracksWhenRight: null,
      tokensPerCorrectAnswer: null,
    });
    expect(behaviour([], phrases)).toMatchObject({ answers: 0, tokensPerAnswer: 0, backtracksWhenWrong: null });
  });
});

describe('right answers', () => {
  it('are right and finished', () => {
    expect(isRight(answer('boxed', true, 1))).toBe(true);
    expect(isRight(answer('boxed', true, 1, 'length'))).toBe(false);
    expect(isRight(answer('boxed', 'unknown', 1))).toBe(false);
  });

  it('count under a token cap only when they end within it', () => {
    const answers = [
      answer('x', true, 20),
      answer('x', true, 40),
      answer('x', false, 10),
      answer('x', true, 60, 'length'),
    ];
    expect(accuracyAtCaps(answers, [10, 20, 60])).toEqual([
      { cap: 10, accuracy: 0, tokens: 10 },
      { cap: 20, accuracy: 0.25, tokens: 17.5 },
      { cap: 60, accuracy: 0.5, tokens: 32.5 },
    ]);
  });
});

describe('what became of the samples', () => {
  const sample = (problemId: string, of: ReturnType<typeof answer>, error?: string) => ({
    problemId,
    ...of,
    ...(error && { error }),
  });

  it('is one thing for each of them, and says which problems gave none', () => {
    const counts = countAnswers([
      sample('a', answer('boxed', true, 1)),
      sample('a', answer('boxed', false, 1)),
      sample('a', answer('boxed', 'unknown', 1)),
      sample('b', answer('no', false, 1)),
      sample('b', answer('boxed', true, 1, 'length')),
      sample('b', answer('', false, 0), 'refused'),
      sample('c', answer('', false, 0), 'refused'),
      sample('c', answer('', false, 0), 'refused'),
    ]);
    expect(counts).toEqual({
      ...{ right: 1, wrong: 1, undecided: 1, unanswered: 1, truncated: 1, errored: 3 },
      ...{ answered: 3, attempted: 8, quarantined: 1 },
    });
  });
});

describe('revisions', () => {
  const right = { correct: true, answerClass: 'r' };
  const wrong = (answerClass: string) => ({ correct: false, answerClass });
  const silent = { correct: false, answerClass: null };

  it('are told by the first stated answer and by the end', () => {
    const answers: Revised[] = [
      { attempts: [silent, wrong('1'), wrong('2'), wrong('1'), right], right: true },
      { attempts: [right, wrong('1'), wrong('1')], right: false },
      { attempts: [right], right: true },
      { attempts: [wrong('1')], right: false },
    ];
    const { all, whenRight, whenWrong } = revisions(answers);
    expect(all).toEqual({
      ...{ answers: 4, attempts: 2.5, stated: 2.25, backtracks: 1.5 },
      ...{ firstRight: 0.5, recoveries: 0.25, harmfulRevisions: 0.25, repeatedWrong: 0.5 },
    });
    expect(whenRight).toMatchObject({ answers: 2, recoveries: 0.5, harmfulRevisions: 0, repeatedWrong: 0.5 });
    expect(whenWrong).toMatchObject({ answers: 2, recoveries: 0, harmfulRevisions: 0.5, repeatedWrong: 0.5 });
  });

  it('take an answer of one attempt as a whole: cut off after a right one, it was revised by nobody', () => {
    const cutOff: Revised = { attempts: [right], right: false };
    expect(revisions([cutOff]).all).toMatchObject({ firstRight: 0, harmfulRevisions: 0 });
    expect(revisions([])).toEqual({ all: expect.objectContaining({ answers: 0 }), whenRight: null, whenWrong: null });
  });

  const attempt = fc.constantFrom(right, wrong('1'), wrong('2'), silent, {
    correct: 'unknown' as const,
    answerClass: 'u',
  });
  const revised = fc.record({ attempts: fc.array(attempt, { minLength: 1, maxLength: 6 }), right: fc.boolean() });

  it('balance: accuracy is first-answer accuracy, plus recoveries, minus harmful revisions', () => {
    fc.assert(
      fc.property(fc.array(revised, { minLength: 1, maxLength: 20 }), (answers) => {
        const { all, whenRight, whenWrong } = revisions(answers);
        const accuracy = answers.filter((one) => one.right).length / answers.length;
        expect(all.firstRight + all.recoveries - all.harmfulRevisions).toBeCloseTo(accuracy, 12);
        // The two outcomes, weighed by their sizes, make the whole.
        for (const measure of ['attempts', 'stated', 'backtracks', 'firstRight', 'repeatedWrong'] as const) {
          const part = (of: typeof whenRight) => (of === null ? 0 : of[measure] * of.answers);
          expect((part(whenRight) + part(whenWrong)) / answers.length).toBeCloseTo(all[measure], 12);
        }
        expect(whenRight?.harmfulRevisions ?? 0).toBe(0);
        expect(whenWrong?.recoveries ?? 0).toBe(0);
      }),
    );
  });
});
