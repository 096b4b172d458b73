import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Candidate, leastLoaded } from '../../src/core/routing.ts';

const server = (name: string, pending: number, limit = 4, paused = false): Candidate => ({
  name,
  limit,
  pending,
  paused,
});
const candidates = fc.array(
  fc.record({ limit: fc.integer({ min: 1, max: 8 }), pending: fc.nat(20), paused: fc.boolean() }),
  { minLength: 1, maxLength: 6 },
);

describe('the choice of a server', () => {
  it('is the one that is used least of what it takes, and never a paused one if another is not', () => {
    fc.assert(
      fc.property(candidates, fc.string(), (list, affinity) => {
        const servers = list.map((one, at) => ({ ...one, name: `s${at}` }));
        const chosen = servers[leastLoaded(servers, affinity) as number] as Candidate;
        const free = servers.filter(({ paused }) => !paused);
        if (free.length === 0) return;
        expect(chosen.paused).toBe(false);
        expect(chosen.pending / chosen.limit).toBe(Math.min(...free.map(({ pending, limit }) => pending / limit)));
      }),
    );
  });

  it('sends what begins alike to one server where several are used alike, wherever they stand in the list', () => {
    const servers = ['a', 'b', 'c'].map((name) => server(name, 0));
    const chosen = servers[leastLoaded(servers, 'problem') as number]?.name;
    const turned = [...servers].reverse();
    expect(turned[leastLoaded(turned, 'problem') as number]?.name).toBe(chosen);
  });

  it('spreads affinities, and moves only those of a server that goes', () => {
    const servers = ['a', 'b', 'c'].map((name) => server(name, 0));
    const of = (list: Candidate[], key: number) => list[leastLoaded(list, `problem ${key}`) as number]?.name;
    const keys = Array.from({ length: 300 }, (_, key) => key);
    const before = keys.map((key) => of(servers, key));
    for (const { name } of servers) expect(before.filter((one) => one === name).length).toBeGreaterThan(60);
    const left = servers.filter(({ name }) => name !== 'b');
    for (const key of keys) if (before[key] !== 'b') expect(of(left, key)).toBe(before[key]);
  });

  it('is none where there is none', () => {
    expect(leastLoaded([], 'problem')).toBeNull();
  });
});
