import { describe, expect, it } from 'vitest';
import { countedStore, noCounts } from '../../bench/scale/counted-store.ts';
import { memoryAt, memorySlope } from '../../bench/scale/memory.ts';
import { memoryStore } from '../support/memory-store.ts';

describe('memory over a run', () => {
  const points = [0, 100, 200, 300, 400].map((problems) => ({ problems, bytes: 5000 + 3 * problems }));

  it('is read at the last moment before so many problems were done', () => {
    expect(memoryAt(points, 250)).toBe(5600);
    expect(memoryAt(points, 400)).toBe(6200);
    expect(memoryAt([], 10)).toBeNull();
  });

  it('grows by bytes per 1,000 problems, behind the warm-up', () => {
    const warmingUp = [{ problems: 0, bytes: 0 }, ...points.slice(1)];
    expect(memorySlope(warmingUp, 100)).toBeCloseTo(3000);
    expect(memorySlope(points.slice(0, 2), 0)).toBeNull();
  });
});

describe('a counted store', () => {
  it('does as the real one does, and counts', async () => {
    const counts = { ...noCounts };
    const store = countedStore(memoryStore(), counts);
    const ref = await store.putJson('search/k/p/tree.json', { a: 1 });
    expect(await store.getJson(ref)).toEqual({ a: 1 });
    expect(await store.find('search/k/q/tree.json')).toBeNull();
    expect(counts).toEqual({ ...noCounts, put: 1, get: 1, find: 1, trees: 1 });
  });
});
