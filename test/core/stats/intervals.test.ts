import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRandom, deriveSeed } from '../../../src/core/seed.ts';
import { bootstrapMean } from '../../../src/core/stats/bootstrap.ts';
import { holm } from '../../../src/core/stats/holm.ts';
import { minimumDetectableDifference, pairedDifference, signFlipPValue } from '../../../src/core/stats/paired.ts';
import { type ProblemScores, varianceComponents } from '../../../src/core/stats/samples.ts';
import { wilson } from '../../../src/core/stats/wilson.ts';

/** Problems of uniformly spread difficulty; their mean success rate is 0.5 + shift. */
function simulate(seed: number, problems: number, samples: number, shift = 0): ProblemScores[] {
  const random = createRandom(seed);
  return Array.from({ length: problems }, (_, i) => {
    const rate = random.next() + shift;
    return {
      problemId: `p${i}`,
      values: Array.from({ length: samples }, () => (random.next() < rate ? 1 : 0)),
    };
  });
}

describe('Wilson interval', () => {
  it('matches the published example of 81 in 263 (Newcombe 1998, Table I)', () => {
    const { low, high } = wilson(81, 263);
    expect(low).toBeCloseTo(0.2553, 4);
    expect(high).toBeCloseTo(0.3662, 4);
  });

  it('behaves at the ends (Newcombe: 0 in 20)', () => {
    expect(wilson(0, 20)).toMatchObject({ value: 0, low: 0 });
    expect(wilson(0, 20).high).toBeCloseTo(0.1611, 4);
    expect(wilson(20, 20).low).toBeCloseTo(1 - 0.1611, 4);
    expect(wilson(0, 0)).toEqual({ value: 0, low: 0, high: 1 });
  });

  it('says that 9 of 30 problems mean 17 to 48 per cent', () => {
    expect(wilson(9, 30).low).toBeCloseTo(0.167, 3);
    expect(wilson(9, 30).high).toBeCloseTo(0.479, 3);
  });
});

describe('Holm correction', () => {
  it('steps down: 0.01, 0.04, 0.03, 0.005 become 0.03, 0.06, 0.06, 0.02', () => {
    const adjusted = holm([0.01, 0.04, 0.03, 0.005]);
    [0.03, 0.06, 0.06, 0.02].forEach((expected, i) => {
      expect(adjusted[i]).toBeCloseTo(expected, 12);
    });
  });

  it('leaves a single test alone and never exceeds one', () => {
    expect(holm([0.04])).toEqual([0.04]);
    expect(holm([0.9, 0.8])).toEqual([1, 1]);
    expect(holm([])).toEqual([]);
  });

  it('lies between the p-value and Bonferroni, and keeps the order', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 }), (pValues) => {
        const adjusted = holm(pValues);
        pValues.forEach((p, i) => {
          expect(adjusted[i]).toBeGreaterThanOrEqual(p);
          expect(adjusted[i]).toBeLessThanOrEqual(Math.min(1, p * pValues.length) + 1e-12);
        });
        pValues.forEach((p, i) => {
          pValues.forEach((q, j) => {
            if (p < q) expect(adjusted[i]).toBeLessThanOrEqual(adjusted[j]!);
          });
        });
      }),
    );
  });
});

describe('bootstrap interval of a mean', () => {
  it('is the same for the same seed, and holds the value', () => {
    const scores = simulate(1, 50, 4);
    const interval = bootstrapMean(scores, { seed: 9, samples: 500 });
    expect(bootstrapMean(scores, { seed: 9, samples: 500 })).toEqual(interval);
    expect(interval.low).toBeLessThan(interval.value);
    expect(interval.high).toBeGreaterThan(interval.value);
  });

  it('weighs problems, not samples, equally', () => {
    const scores = [
      { problemId: 'a', values: [1] },
      { problemId: 'b', values: [0, 0, 0, 0] },
    ];
    expect(bootstrapMean(scores, { seed: 1, samples: 100 }).value).toBe(0.5);
  });

  it('has no width without variation and says nothing about no problems', () => {
    const same = [{ problemId: 'a', values: [1, 1] }];
    expect(bootstrapMean(same, { seed: 1, samples: 100 })).toEqual({ value: 1, low: 1, high: 1 });
    expect(bootstrapMean([], { seed: 1, samples: 100 })).toEqual({ value: 0, low: 0, high: 0 });
    expect(bootstrapMean([{ problemId: 'a', values: [] }], { seed: 1, samples: 100 })).toMatchObject({ value: 0 });
  });

  it('covers the truth about as often as it says: 95 of 100 times', () => {
    const covered = Array.from({ length: 100 }, (_, i) => {
      const { low, high } = bootstrapMean(simulate(deriveSeed('coverage', i), 50, 4), { seed: i, samples: 200 });
      return low <= 0.5 && 0.5 <= high;
    }).filter(Boolean).length;
    expect(covered).toBeGreaterThanOrEqual(88);
    expect(covered).toBeLessThanOrEqual(99);
  });

  it('has the width of the data: two levels do not count the noise of samples twice', () => {
    // Equal problems: all variation is between samples, where naive two-level resampling is widest.
    const random = createRandom(3);
    const coins = Array.from({ length: 300 }, (_, i) => ({
      problemId: `${i}`,
      values: Array.from({ length: 4 }, () => random.int(2)),
    }));
    const { low, high } = bootstrapMean(coins, { seed: 1, samples: 2000 });
    const independent = wilson(coins.flatMap((coin) => coin.values).filter((value) => value === 1).length, 1200);
    const ratio = (high - low) / (independent.high - independent.low);
    expect(ratio).toBeGreaterThan(0.9);
    expect(ratio).toBeLessThan(1.1);
  });

  it('stays inside the possible scores, even of two problems', () => {
    const two = [
      { problemId: 'a', values: [1, 1, 1, 0] },
      { problemId: 'b', values: [1, 1, 1, 1] },
    ];
    const { low, high } = bootstrapMean(two, { seed: 1, samples: 500 });
    expect(low).toBeGreaterThanOrEqual(0);
    expect(high).toBeLessThanOrEqual(1);
  });

  it('knows the noise of samples where there is one problem only', () => {
    const one = [{ problemId: 'a', values: [1, 0, 1, 0, 1, 0, 1, 0] }];
    const { low, high } = bootstrapMean(one, { seed: 1, samples: 500 });
    expect(low).toBeLessThan(0.3);
    expect(high).toBeGreaterThan(0.7);
  });
});

describe('variance of a score', () => {
  it('is all within for identical problems and all between for repeated outcomes', () => {
    const coins = Array.from({ length: 200 }, (_, i) => ({ problemId: `${i}`, values: [0, 1, 0, 1] }));
    expect(varianceComponents(coins).between).toBe(0);
    expect(varianceComponents(coins).within).toBeCloseTo(1 / 3, 12);
    const sure = [0, 1].map((value) => ({ problemId: `${value}`, values: [value, value] }));
    expect(varianceComponents(sure)).toEqual({ between: 0.5, within: 0 });
  });
});

describe('paired difference', () => {
  it('matches by problem and leaves out what only one side has', () => {
    const from = [
      { problemId: 'a', values: [0, 0] },
      { problemId: 'b', values: [1, 0] },
      { problemId: 'only-from', values: [1] },
    ];
    const to = [
      { problemId: 'only-to', values: [0] },
      { problemId: 'b', values: [1, 1] },
      { problemId: 'a', values: [0, 1] },
    ];
    expect(pairedDifference(from, to, { seed: 1, samples: 200 })).toMatchObject({ problems: 2, difference: 0.5 });
  });

  it('finds a real difference and is antisymmetric', () => {
    const from = simulate(1, 200, 4, -0.1);
    const to = simulate(1, 200, 4, 0.1);
    const forward = pairedDifference(from, to, { seed: 5, samples: 500 });
    const backward = pairedDifference(to, from, { seed: 5, samples: 500 });
    expect(forward.difference).toBeCloseTo(-backward.difference, 12);
    expect(forward.low).toBeGreaterThan(0);
    expect(backward.high).toBeLessThan(0);
    expect(forward.pValue).toBeLessThan(0.001);
  });

  it('covers no difference about as often as it says where there is none', () => {
    const covered = Array.from({ length: 100 }, (_, i) => {
      const random = createRandom(deriveSeed('null pair', i));
      const rates = Array.from({ length: 30 }, () => random.next());
      const sample = () =>
        rates.map((rate, problem) => ({
          problemId: `${problem}`,
          values: Array.from({ length: 4 }, () => (random.next() < rate ? 1 : 0)),
        }));
      const { low, high } = pairedDifference(sample(), sample(), { seed: i, samples: 200 });
      return low <= 0 && 0 <= high;
    }).filter(Boolean).length;
    expect(covered).toBeGreaterThanOrEqual(88);
    expect(covered).toBeLessThanOrEqual(99);
  });

  it('is narrower than the scores it compares, because problems cancel', () => {
    const sure = Array.from({ length: 100 }, (_, i) => ({ problemId: `${i}`, values: [i % 2, i % 2] }));
    const { low, high } = pairedDifference(sure, sure, { seed: 1, samples: 300 });
    expect([low, high]).toEqual([0, 0]);
    const alone = bootstrapMean(sure, { seed: 1, samples: 300 });
    expect(alone.high - alone.low).toBeGreaterThan(0.1);
  });

  it('holds no comparison without common problems', () => {
    expect(pairedDifference([], simulate(1, 3, 2), { seed: 1, samples: 100 })).toEqual({
      problems: 0,
      difference: 0,
      low: 0,
      high: 0,
      pValue: 1,
      minimumDetectableDifference: null,
    });
  });
});

describe('sign-flip test', () => {
  it('is exact for few problems: n equal differences of one sign have p = 2 / 2^n', () => {
    expect(signFlipPValue([1, 1, 1, 1, 1], 1)).toBe(2 / 32);
    expect(signFlipPValue([0.5, 0.25, 0.25], 1)).toBe(2 / 8);
    expect(signFlipPValue([0.1, -0.1], 1)).toBe(1);
  });

  it("is Fisher's value for Darwin's maize: 863 + 863 of 32,768", () => {
    const darwin = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48];
    expect(signFlipPValue(darwin, 1)).toBeCloseTo(1726 / 32768, 2);
  });

  it('ignores problems without a difference and knows no p of zero', () => {
    expect(signFlipPValue([0, 0, 0], 1)).toBe(1);
    expect(signFlipPValue([1, 1, 1, 1, 1, 0, 0, 0], 1)).toBe(2 / 32);
    expect(signFlipPValue(new Array(100).fill(1), 1)).toBeCloseTo(1 / 10001, 12);
  });

  it('rejects a true null about as often as it says', () => {
    const rejected = Array.from({ length: 100 }, (_, i) => {
      const random = createRandom(deriveSeed('null', i));
      const differences = Array.from({ length: 12 }, () => random.next() - 0.5);
      return signFlipPValue(differences, i) < 0.05;
    }).filter(Boolean).length;
    expect(rejected).toBeLessThanOrEqual(12);
  });
});

describe('minimum detectable difference', () => {
  it('is 2.80 standard errors and shrinks with the root of the problems', () => {
    const differences = Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? 1 : -1));
    const expected = 2.8015852 * Math.sqrt(100 / 99 / 100);
    expect(minimumDetectableDifference(differences)).toBeCloseTo(expected, 6);
  });

  it('is unknown for fewer than two problems', () => {
    expect(minimumDetectableDifference([1])).toBeNull();
  });
});
