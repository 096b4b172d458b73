import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildPolicyBatches, buildPolicyData, splitBatches } from '../../../src/core/rl/policy-data.ts';
import { importanceRatioStats, logprobGap } from '../../../src/core/rl/ratios.ts';

const answer = (group: number, reward: number, completionTokens = [7, 8, 2]) => ({
  group,
  reward,
  promptTokens: [3, 4],
  completionTokens,
  samplerLogprobs: completionTokens.map((_, i) => -0.1 * (i + 1)),
});

describe('policy data', () => {
  it('aligns log-probabilities and advantages with tokens, zero on the prompt', () => {
    const { data, completionStarts } = buildPolicyData([answer(0, 1), answer(0, -1, [9, 2])], 10);
    expect(completionStarts).toEqual([2, 2]);
    expect(data[0]).toEqual({
      tokens: [3, 4, 7, 8, 2],
      logprobs: [0, 0, -0.1, -0.2, -0.30000000000000004],
      advantages: [0, 0, 1 / 20, 1 / 20, 1 / 20],
    });
    expect(data[1]).toEqual({
      tokens: [3, 4, 9, 2],
      logprobs: [0, 0, -0.1, -0.2],
      advantages: [0, 0, -1 / 20, -1 / 20],
    });
  });

  it('leaves uniform groups out, of the data and of the divisor', () => {
    const mixed = [answer(0, 1), answer(0, -1)];
    const uniform = [answer(1, 1), answer(1, 1), answer(2, -1), answer(2, -1)];
    expect(buildPolicyData([...uniform, ...mixed], 60)).toEqual(buildPolicyData(mixed, 60));
  });

  it('keeps an answer of a mixed group whose advantage happens to be zero', () => {
    expect(buildPolicyData([answer(0, 1), answer(0, 0), answer(0, -1)], 1).data).toHaveLength(3);
  });

  it('refuses answers without a log-probability per token', () => {
    const broken = [{ ...answer(0, 1), samplerLogprobs: [] }, answer(0, -1)];
    expect(() => buildPolicyData(broken, 60)).toThrow(/3 tokens has 0 log-probabilities/);
  });

  it('deals whole groups to batches and normalises each batch by its own answers', () => {
    const rollouts = [0, 1, 2].flatMap((group) => [answer(group, 1), answer(group, -1)]);
    const batches = buildPolicyBatches(rollouts, { lengthNormalizer: 1, stepsPerIteration: 2 });
    expect(batches.map((batch) => batch.data.length)).toEqual([2, 4]);
    expect(batches.map((batch) => batch.data[0]?.advantages.at(-1))).toEqual([1 / 2, 1 / 4]);
  });

  it('has no batch at all when every group is uniform', () => {
    expect(buildPolicyBatches([answer(0, 1), answer(0, 1)], { lengthNormalizer: 60, stepsPerIteration: 4 })).toEqual(
      [],
    );
  });

  it('splits into at most so many non-empty parts of nearly equal size, in order', () => {
    fc.assert(
      fc.property(fc.array(fc.integer()), fc.integer({ min: 1, max: 64 }), (items, parts) => {
        const batches = splitBatches(items, parts);
        const sizes = batches.map((batch) => batch.length);
        expect(batches.flat()).toEqual(items);
        expect(batches).toHaveLength(Math.min(parts, items.length));
        if (sizes.length > 0) expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      }),
    );
  });
});

describe('importance ratios', () => {
  const batch = buildPolicyData([answer(0, 1, [7, 2]), answer(0, -1, [9, 2])], 60);
  const exact = batch.data.map((datum) => datum.logprobs);

  it('are one and the gap zero where the trainer sees what the sampler saw', () => {
    expect(importanceRatioStats(batch, exact)).toEqual({ tokens: 4, logprobGap: 0, meanRatio: 1, maxRatio: 1, kl: 0 });
  });

  it('ignore the prompt, and average the gap over completion tokens', () => {
    const shifted = exact.map((logprobs, i) => logprobs.map((value, t) => (t < 2 ? -9 : value + (i === 0 ? 0.2 : 0))));
    const stats = importanceRatioStats(batch, shifted);
    expect(stats?.logprobGap).toBeCloseTo(0.1, 12);
    expect(stats?.maxRatio).toBeCloseTo(Math.exp(0.2), 12);
    expect(stats?.kl).toBeGreaterThan(0);
  });

  it('weigh batches by their tokens', () => {
    const one = { tokens: 1, logprobGap: 0.4, meanRatio: 1, maxRatio: 1, kl: 0 };
    expect(logprobGap([one, { ...one, tokens: 3, logprobGap: 0 }, null])).toBeCloseTo(0.1, 12);
    expect(logprobGap([])).toBeNull();
  });

  it('refuse log-probabilities that are not aligned with the tokens', () => {
    expect(() => importanceRatioStats(batch, [[0]])).toThrow(RangeError);
  });
});
