import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { groupAdvantages, isUniform, normalizedAdvantages } from '../../../src/core/rl/advantages.ts';
import { inDifficultyBand } from '../../../src/core/rl/difficulty.ts';
import { outcomeReward } from '../../../src/core/rl/reward.ts';

describe('outcome reward', () => {
  it('pays +1 for right, -1 for wrong, nothing where the checker could not decide', () => {
    expect(outcomeReward({ correct: true, reason: '' }, false)).toBe(1);
    expect(outcomeReward({ correct: false, reason: '' }, false)).toBe(-1);
    expect(outcomeReward({ correct: 'unknown', reason: '' }, false)).toBe(0);
  });

  it('takes an answer that was cut off as wrong', () => {
    expect(outcomeReward({ correct: true, reason: '' }, true)).toBe(-1);
    expect(outcomeReward({ correct: 'unknown', reason: '' }, true)).toBe(-1);
  });
});

describe('group advantages', () => {
  it('are 2(1 - c/G) for right and -2c/G for wrong answers', () => {
    expect(groupAdvantages([1, -1, -1, -1])).toEqual([1.5, -0.5, -0.5, -0.5]);
    expect(groupAdvantages([1, 1, 1, -1])).toEqual([0.5, 0.5, 0.5, -1.5]);
  });

  it('are exact zeros in a uniform group, whatever the reward', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), fc.integer({ min: 1, max: 32 }), (reward, size) => {
        const advantages = groupAdvantages(new Array(size).fill(reward));
        expect(advantages).toEqual(new Array(size).fill(0));
      }),
    );
  });

  it('sum to zero and keep the order of the rewards', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(-1, 0, 1), { minLength: 1, maxLength: 64 }), (rewards) => {
        const advantages = groupAdvantages(rewards);
        expect(advantages.reduce((a, b) => a + b, 0)).toBeCloseTo(0, 9);
        const differs = rewards.some(
          (r, i) => Math.sign(r - rewards[0]!) !== Math.sign(advantages[i]! - advantages[0]!),
        );
        expect(differs).toBe(false);
        expect(isUniform(rewards)).toBe(advantages.every((advantage) => advantage === 0));
      }),
    );
  });

  it('are divided by answers x C, never by the length of an answer', () => {
    expect(normalizedAdvantages([1.5, -0.5, -0.5, -0.5], 60)).toEqual([1.5 / 240, -0.5 / 240, -0.5 / 240, -0.5 / 240]);
  });
});

describe('difficulty band', () => {
  it('includes both ends, so 0 to 1 keeps every problem', () => {
    expect([0, 0.5, 1].map((rate) => inDifficultyBand(rate, 0, 1))).toEqual([true, true, true]);
    expect([0, 0.01, 0.75, 0.76, 1].map((rate) => inDifficultyBand(rate, 0.01, 0.75))).toEqual([
      false,
      true,
      true,
      false,
      false,
    ]);
  });
});
