import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRandom, deriveSeed } from '../../src/core/seed.ts';

describe('deriveSeed', () => {
  it('is a 32-bit unsigned number that never changes between releases', () => {
    expect(deriveSeed(7, 'search', 'cd-4-9-3-39', 0)).toBe(3582379369);
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string(), fc.integer())), (parts) => {
        const seed = deriveSeed(...parts);
        expect(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32).toBe(true);
      }),
    );
  });

  it('tells apart how the parts are cut and typed', () => {
    expect(deriveSeed('a', 'bc')).not.toBe(deriveSeed('ab', 'c'));
    expect(deriveSeed(1)).not.toBe(deriveSeed('1'));
  });
});

describe('a seeded random stream', () => {
  it('is the same for the same seed and unrelated for the next one', () => {
    const stream = (seed: number) => {
      const random = createRandom(seed);
      return Array.from({ length: 20 }, () => random.next());
    };
    expect(stream(5)).toEqual(stream(5));
    expect(stream(5)).not.toEqual(stream(6));
    expect(new Set([1, 2, 3, 4, 5, 6].map((seed) => Math.floor((stream(seed)[0] as number) * 8))).size).toBeGreaterThan(
      2,
    );
  });

  it('draws in range and covers it', () => {
    const random = createRandom(1);
    const drawn = new Set(Array.from({ length: 400 }, () => random.int(7)));
    expect([...drawn].sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
    const values = Array.from({ length: 400 }, () => random.next());
    expect(values.every((value) => value >= 0 && value < 1)).toBe(true);
    expect(values.reduce((a, b) => a + b) / 400).toBeCloseTo(0.5, 1);
  });

  it('shuffles a copy into a permutation', () => {
    const items = [1, 2, 3, 4, 5, 6, 7, 8];
    const shuffled = createRandom(3).shuffle(items);
    expect(items).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(shuffled).not.toEqual(items);
    expect(shuffled.toSorted()).toEqual(items);
  });

  it('refuses empty lists and bounds', () => {
    expect(() => createRandom(1).pick([])).toThrow(RangeError);
    expect(() => createRandom(1).int(0)).toThrow(RangeError);
  });
});
