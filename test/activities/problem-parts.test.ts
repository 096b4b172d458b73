import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countedStore, noCounts } from '../../bench/scale/counted-store.ts';
import { createProblemReader, storeParts } from '../../src/activities/problem-parts.ts';
import { artifactNames } from '../../src/config/plan.ts';
import type { Problem } from '../../src/core/problem.ts';
import { memoryStore } from '../support/memory-store.ts';

const problems = Array.from({ length: 3_500 }, (_, i): Problem => ({ id: `p-${i}`, data: { i } }));

async function storedSet(count: number, { inParts }: { inParts: boolean }) {
  const store = memoryStore();
  const set = await store.putLines(artifactNames.problems('set'), problems.slice(0, count));
  if (inParts) await storeParts(store, set, problems.slice(0, count));
  return { store, set };
}

describe.each([
  { name: 'a large set in parts', count: 3_500, inParts: true },
  { name: 'a large set of a run that began before there were parts', count: 3_500, inParts: false },
  { name: 'a set of one part', count: 700, inParts: true },
])('$name', ({ count, inParts }) => {
  it('gives any stretch of it, and ends where it ends', async () => {
    const { store, set } = await storedSet(count, { inParts });
    const problemsOf = createProblemReader(store);
    await fc.assert(
      fc.asyncProperty(fc.nat(4_000), fc.nat(2_500), async (first, length) => {
        const all = problems.slice(0, count);
        expect(await problemsOf(set, first, length)).toEqual(all.slice(first, first + length));
      }),
      { numRuns: 50 },
    );
    expect(await problemsOf(set, -1, 1)).toEqual([]);
  });
});

describe('whoever needs one problem', () => {
  it('reads the part that it stands in, once', async () => {
    const { store, set } = await storedSet(3_500, { inParts: true });
    const counts = { ...noCounts };
    const problemsOf = createProblemReader(countedStore(store, counts));
    for (const index of [2_100, 2_101, 2_999]) expect(await problemsOf(set, index, 1)).toEqual([problems[index]]);
    expect(counts).toEqual({ ...noCounts, find: 1, get: 1 });
  });
});
