import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AnswerClass, majAtK } from '../../../src/core/stats/maj-at-k.ts';
import { passAtK } from '../../../src/core/stats/pass-at-k.ts';

describe('pass@k', () => {
  it('is the share of right samples at k = 1, and certain where fewer than k are wrong', () => {
    expect(passAtK(16, 4, 1)).toBeCloseTo(0.25, 12);
    expect(passAtK(4, 2, 3)).toBe(1);
    expect(passAtK(4, 0, 4)).toBe(0);
  });

  it('is 1 - C(n-c, k) / C(n, k)', () => {
    expect(passAtK(10, 3, 2)).toBeCloseTo(1 - 21 / 45, 12);
    expect(passAtK(200, 1, 100)).toBeCloseTo(0.5, 12);
  });

  it('never falls with k', () => {
    const counts = fc
      .integer({ min: 2, max: 50 })
      .chain((n) => fc.tuple(fc.constant(n), fc.integer({ min: 0, max: n })));
    fc.assert(
      fc.property(counts, ([n, c]) => {
        for (let k = 2; k <= n; k++) expect(passAtK(n, c, k)).toBeGreaterThanOrEqual(passAtK(n, c, k - 1) - 1e-12);
      }),
    );
  });

  it('refuses more samples than there are', () => {
    expect(() => passAtK(4, 1, 5)).toThrow(RangeError);
    expect(() => passAtK(4, 5, 1)).toThrow(RangeError);
  });
});

/** The definition: every subset of size k, most votes wins, ties shared evenly. */
function byEnumeration(classes: readonly AnswerClass[], abstentions: number, k: number): number {
  const samples = [
    ...classes.flatMap((one, index) => new Array<number>(one.count).fill(index)),
    ...new Array<number>(abstentions).fill(-1),
  ];
  let total = 0;
  let subsets = 0;
  for (let mask = 0; mask < 2 ** samples.length; mask++) {
    const chosen = samples.filter((_, i) => (mask >> i) & 1);
    if (chosen.length !== k) continue;
    subsets += 1;
    const votes = classes.map((_, index) => chosen.filter((one) => one === index).length);
    const most = Math.max(0, ...votes);
    const winners = classes.filter((_, index) => most > 0 && votes[index] === most);
    if (winners.length > 0) total += winners.filter((one) => one.right).length / winners.length;
  }
  return total / subsets;
}

describe('maj@k', () => {
  it('is pass@1 at k = 1', () => {
    expect(
      majAtK(
        [
          { count: 3, right: true },
          { count: 5, right: false },
        ],
        2,
        1,
      ),
    ).toBeCloseTo(0.3, 12);
  });

  it('lets the majority win and shares ties evenly', () => {
    expect(
      majAtK(
        [
          { count: 3, right: true },
          { count: 1, right: false },
        ],
        0,
        4,
      ),
    ).toBe(1);
    expect(
      majAtK(
        [
          { count: 2, right: true },
          { count: 2, right: false },
        ],
        0,
        4,
      ),
    ).toBe(0.5);
    expect(majAtK([{ count: 1, right: true }], 3, 4)).toBe(1);
    expect(majAtK([], 4, 4)).toBe(0);
  });

  it('equals the mean over all subsets', () => {
    const oneClass = fc.record({ count: fc.integer({ min: 1, max: 4 }), right: fc.boolean() });
    fc.assert(
      fc.property(fc.array(oneClass, { maxLength: 3 }), fc.integer({ min: 1, max: 2 }), (classes, abstentions) => {
        const n = classes.reduce((sum, one) => sum + one.count, abstentions);
        for (let k = 1; k <= Math.min(n, 6); k++) {
          expect(majAtK(classes, abstentions, k)).toBeCloseTo(byEnumeration(classes, abstentions, k), 9);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('stays a share with many samples', () => {
    const classes = [
      { count: 300, right: true },
      { count: 250, right: false },
      { count: 50, right: true },
    ];
    const value = majAtK(classes, 400, 64);
    expect(value).toBeGreaterThan(0.5);
    expect(value).toBeLessThan(1);
  });
});
