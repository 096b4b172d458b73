import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Aimd, answered, lowerCeiling, MIN_LIMIT, overloaded, startAimd } from '../../src/core/aimd.ts';

const many = (times: number, step: (state: Aimd) => Aimd, from: Aimd): Aimd =>
  Array.from({ length: times }).reduce<Aimd>((state) => step(state), from);

/** A service that can do `capacity` at once, sent as many as the limit allows, in rounds. */
function serve(state: Aimd, capacity: number): Aimd {
  const { limit, epoch } = state;
  return limit > capacity
    ? many(limit - capacity, (next) => overloaded(next, epoch, limit), state)
    : many(limit, (next) => answered(next, epoch), state);
}

describe('the limit on requests at once', () => {
  it('is the ceiling until something goes wrong', () => {
    expect(many(1000, (state) => answered(state, state.epoch), startAimd(8)).limit).toBe(8);
  });

  it('never leaves its bounds, whatever happens in whatever order', () => {
    const event = fc.record({ overload: fc.boolean(), late: fc.nat(3), inFlight: fc.integer({ min: 1, max: 500 }) });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.array(event, { maxLength: 300 }), (ceiling, events) => {
        let state = startAimd(ceiling);
        for (const { overload, late, inFlight } of events) {
          const epoch = state.epoch - late;
          const before = state;
          state = overload ? overloaded(state, epoch, inFlight) : answered(state, epoch);
          expect(state.limit).toBeGreaterThanOrEqual(MIN_LIMIT);
          expect(state.limit).toBeLessThanOrEqual(ceiling);
          expect(Number.isInteger(state.limit)).toBe(true);
          if (overload) expect(state.limit).toBeLessThanOrEqual(before.limit);
          else expect(state.limit - before.limit).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  it('halves once for all failures of one window', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 300 }), fc.integer({ min: 1, max: 300 }), (ceiling, failures) => {
        const start = startAimd(ceiling);
        const after = many(failures, (state) => overloaded(state, start.epoch, ceiling), start);
        expect(after.limit).toBe(Math.floor(ceiling / 2));
      }),
    );
  });

  it('halves what was in flight, where that was less than allowed', () => {
    expect(overloaded(startAimd(256), 0, 40).limit).toBe(20);
    expect(overloaded(startAimd(256), 0, 1).limit).toBe(1);
  });

  it('grows by one for each full window, and ignores answers from before the decrease', () => {
    const halved = overloaded(startAimd(8), 0, 8);
    expect(many(50, (state) => answered(state, 0), halved)).toEqual(halved);
    expect(many(3, (state) => answered(state, 1), halved).limit).toBe(4);
    expect(many(4, (state) => answered(state, 1), halved).limit).toBe(5);
    expect(many(4 + 5, (state) => answered(state, 1), halved).limit).toBe(6);
  });

  it('recovers to the ceiling from anywhere once the service is well', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.nat(12), (ceiling, decreases) => {
        const low = many(decreases, (state) => overloaded(state, state.epoch, state.limit), startAimd(ceiling));
        const windows = many(ceiling, (state) => serve(state, ceiling), low);
        expect(windows.limit).toBe(ceiling);
      }),
    );
  });

  it('finds what a service can do, and stays between half of it and one above', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), (capacity) => {
        let state = many(20, (next) => serve(next, capacity), startAimd(256));
        for (let round = 0; round < 300; round++) {
          state = serve(state, capacity);
          expect(state.limit).toBeLessThanOrEqual(capacity + 1);
          expect(state.limit).toBeGreaterThanOrEqual(Math.max(1, Math.floor((capacity + 1) / 2)));
        }
      }),
    );
  });

  it('takes the smallest ceiling that was asked for', () => {
    expect(lowerCeiling(startAimd(64), 8)).toMatchObject({ limit: 8, ceiling: 8 });
    expect(lowerCeiling(startAimd(8), 64)).toEqual(startAimd(8));
    expect(() => startAimd(0)).toThrow(RangeError);
  });
});
