import { describe, expect, it } from 'vitest';
import { accuracyAtCaps, behaviour, countBacktracks, isRight } from '../../src/core/behaviour.ts';

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
      { cap: 10, accuracy: 0 },
      { cap: 20, accuracy: 0.25 },
      { cap: 60, accuracy: 0.5 },
    ]);
  });
});
