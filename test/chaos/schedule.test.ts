import { describe, expect, it } from 'vitest';
import { planKills } from '../../chaos/schedule.ts';

const stages = [
  ...Array<string>(40).fill('search'),
  ...Array<string>(3).fill('sft'),
  ...Array<string>(5).fill('evaluate'),
  'runs',
  'runs',
];
const plan = (seed: number, kills = 12) => planKills({ seed, kills, targets: ['worker', 'engine', 'server'], stages });

describe('the plan of kills', () => {
  it('follows from the seed alone', () => {
    expect(plan(1)).toEqual(plan(1));
    expect(plan(2)).not.toEqual(plan(1));
  });

  it('gives every target its turn, in the order of the run, before what ends it', () => {
    const kills = plan(3);
    for (const target of ['worker', 'engine', 'server'])
      expect(kills.filter((kill) => kill.target === target)).toHaveLength(4);
    const moments = kills.map(({ afterArtifacts }) => afterArtifacts);
    expect(moments).toEqual([...moments].sort((a, b) => a - b));
    expect(new Set(moments).size).toBe(moments.length);
    expect(Math.max(...moments)).toBeLessThanOrEqual(48);
  });

  it('reaches stages of few artifacts too', () => {
    const inSft = Array.from({ length: 20 }, (_, seed) => plan(seed)).flat();
    expect(inSft.some(({ afterArtifacts }) => afterArtifacts > 40 && afterArtifacts <= 43)).toBe(true);
  });

  it('is possible with more kills than artifacts', () => {
    expect(plan(1, 100)).toHaveLength(100);
  });
});
