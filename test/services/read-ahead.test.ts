import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readAhead } from '../../src/services/store/read-ahead.ts';

async function all<R>(results: AsyncIterable<R>): Promise<R[]> {
  const found: R[] = [];
  for await (const result of results) found.push(result);
  return found;
}

describe('reading ahead', () => {
  it('gives results in order whatever finishes first, with no more under way than allowed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), fc.array(fc.nat()), fc.integer({ min: 1, max: 5 }), async (s, items, atOnce) => {
        let underWay = 0;
        let most = 0;
        const read = (item: number) => {
          underWay += 1;
          most = Math.max(most, underWay);
          return s.schedule(Promise.resolve(item * 2)).finally(() => {
            underWay -= 1;
          });
        };
        const results = all(readAhead(items, read, atOnce));
        expect(await s.waitFor(results)).toEqual(items.map((item) => item * 2));
        expect(most).toBeLessThanOrEqual(atOnce);
        expect(most).toBe(Math.min(atOnce, items.length));
      }),
    );
  });

  it('fails where an item fails, and reads nothing that was not begun', async () => {
    const begun: number[] = [];
    const read = async (item: number) => {
      begun.push(item);
      if (item === 2) throw new Error('two');
      return item;
    };
    const seen: number[] = [];
    const reading = async () => {
      for await (const item of readAhead([0, 1, 2, 3, 4, 5, 6, 7], read, 3)) seen.push(item);
    };
    await expect(reading()).rejects.toThrow('two');
    expect(seen).toEqual([0, 1]);
    expect(begun).toEqual([0, 1, 2, 3, 4]);
  });
});
