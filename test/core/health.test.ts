import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FIRST_OUT_MS, failed, type Health, healthy, isDue, LONGEST_OUT_MS, takesPart } from '../../src/core/health.ts';

describe('the health of a server', () => {
  it('ends at once when nobody listens, and only after several errors otherwise', () => {
    expect(takesPart(failed(healthy, 'unreachable', 0))).toBe(false);
    let health = healthy;
    for (const expected of [true, true, false]) {
      health = failed(health, 'failing', 0);
      expect(takesPart(health)).toBe(expected);
    }
  });

  it('is asked after for longer and longer', () => {
    let health: Health = healthy;
    let now = 0;
    const waits: number[] = [];
    for (let time = 0; time < 9; time++) {
      health = failed(health, 'unreachable', now);
      waits.push((health.outUntil as number) - now);
      expect(isDue(health, now)).toBe(false);
      now = health.outUntil as number;
      expect(isDue(health, now)).toBe(true);
    }
    expect(waits.slice(0, 4)).toEqual([1, 2, 4, 8].map((times) => times * FIRST_OUT_MS));
    expect(waits.at(-1)).toBe(LONGEST_OUT_MS);
  });

  it('does not count what was under way when the server was taken out', () => {
    const out = failed(healthy, 'unreachable', 0);
    expect(failed(out, 'unreachable', FIRST_OUT_MS - 1)).toEqual(out);
  });

  it('is never out for longer than the longest wait, whatever happens', () => {
    const events = fc.array(fc.tuple(fc.constantFrom('unreachable' as const, 'failing' as const), fc.nat(100_000)));
    fc.assert(
      fc.property(events, (list) => {
        let [health, now]: [Health, number] = [healthy, 0];
        for (const [kind, later] of list) {
          now += later;
          health = failed(health, kind, now);
          if (health.outUntil !== null) expect(health.outUntil - now).toBeLessThanOrEqual(LONGEST_OUT_MS);
        }
      }),
    );
  });
});
