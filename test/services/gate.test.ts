import { describe, expect, it, vi } from 'vitest';
import { ServiceError } from '../../src/services/errors.ts';
import { createGates, type Gate, type GateWatch, type Load, type Place } from '../../src/services/gate.ts';
import { type Outcome, outcomeOf } from '../../src/services/outcome.ts';

const { signal } = new AbortController();
const patience = 60_000;

/** Timers that only a test lets ring. */
function fakeTimers() {
  const set: { ms: number; ring: () => void }[] = [];
  return {
    later(ms: number, callback: () => void) {
      const timer = { ms, ring: callback };
      set.push(timer);
      return { cancel: () => void set.splice(set.indexOf(timer) >>> 0, 1), unref: () => {} };
    },
    /** Lets the first timer of so many milliseconds ring. */
    ring(ms: number) {
      const at = set.findIndex((timer) => timer.ms === ms);
      if (at === -1) throw new Error(`no timer of ${ms} ms among ${set.map((timer) => timer.ms)}`);
      set.splice(at, 1)[0]?.ring();
    },
    pending: () => set.map(({ ms }) => ms),
  };
}

function setup(ceiling: number) {
  const timers = fakeTimers();
  const said: string[] = [];
  const gates = createGates((message) => said.push(message), timers.later);
  return { gates, gate: gates('http://service', ceiling), timers, said };
}

/** A request that the test answers. */
function request(gate: Gate, caller: AbortSignal = signal) {
  let place: Place | null = null;
  let [answer, fail]: [() => void, (error: unknown) => void] = [() => {}, () => {}];
  const done = gate.run(
    (given) => {
      place = given;
      return new Promise<void>((resolve, reject) => {
        [answer, fail] = [resolve, reject];
      });
    },
    caller,
    patience,
  );
  done.catch(() => {});
  return {
    done,
    sent: () => place !== null,
    overloaded: (retryAfterMs?: number) => place?.overloaded(retryAfterMs),
    async answer() {
      await turns();
      answer();
      await done;
    },
    async fail(error: unknown) {
      await turns();
      fail(error);
      await done.catch(() => {});
    },
  };
}

const turns = async () => {
  for (let tick = 0; tick < 5; tick++) await Promise.resolve();
};
const busy = (retryAfterMs?: number) =>
  new ServiceError('retryable', 'busy', { service: 's', status: 429, ...(retryAfterMs && { retryAfterMs }) });

describe('a gate', () => {
  it('sends as many requests at once as its limit, in the order they came', async () => {
    const { gate } = setup(2);
    const all = Array.from({ length: 4 }, () => request(gate));
    await turns();
    expect(all.map(({ sent }) => sent())).toEqual([true, true, false, false]);
    expect(gate.load()).toEqual({ limit: 2, inFlight: 2, waiting: 2, paused: false });
    await all[1]?.answer();
    await turns();
    expect(all.map(({ sent }) => sent())).toEqual([true, true, true, false]);
    await all[0]?.answer();
    await all[2]?.answer();
    await turns();
    await all[3]?.answer();
    expect(gate.load()).toEqual({ limit: 2, inFlight: 0, waiting: 0, paused: false });
  });

  it('halves once when a whole window is refused, and says so', async () => {
    const { gate, said } = setup(8);
    const all = Array.from({ length: 8 }, () => request(gate));
    await turns();
    for (const one of all) await one.fail(busy());
    expect(gate.load().limit).toBe(4);
    expect(said).toEqual(['http://service is overloaded: requests at once reduced from 8 to 4']);
  });

  it.each([
    ['429', busy(), 2],
    ['503', new ServiceError('retryable', 'no', { service: 's', status: 503 }), 2],
    ['a request that hangs', new ServiceError('retryable', 'late', { service: 's', timedOut: true }), 2],
    ['500', new ServiceError('retryable', 'boom', { service: 's', status: 500 }), 4],
    ['a service that is down', new ServiceError('retryable', 'unreachable', { service: 's' }), 4],
    ['a wrong request', new ServiceError('fatal', 'no', { service: 's', status: 400 }), 4],
    ['a caller that gave up', new Error('cancelled'), 4],
  ])('takes %s for what it is', async (_name, error, limit) => {
    const { gate } = setup(4);
    const all = Array.from({ length: 4 }, () => request(gate));
    await turns();
    await all[0]?.fail(error);
    expect(gate.load().limit).toBe(limit);
  });

  it('sends nothing to a service that asked for time, until it is over', async () => {
    const { gate, timers } = setup(2);
    const [first, second] = [request(gate), request(gate)];
    await turns();
    await first.fail(busy(7_000));
    await second.fail(busy(3_000));
    const next = request(gate);
    await turns();
    expect(gate.load()).toEqual({ limit: 1, inFlight: 0, waiting: 1, paused: true });
    timers.ring(3_000);
    await turns();
    expect(next.sent()).toBe(false);
    timers.ring(7_000);
    await turns();
    expect(next.sent()).toBe(true);
    await next.answer();
  });

  it('tries again after a minute, whatever the service asked for', async () => {
    const { gate, timers } = setup(1);
    const first = request(gate);
    await turns();
    await first.fail(busy(3_600_000));
    expect(timers.pending()).toEqual([60_000]);
  });

  it('hears of an overload that the request waits out by itself', async () => {
    const { gate, timers } = setup(4);
    const all = Array.from({ length: 4 }, () => request(gate));
    await turns();
    all[0]?.overloaded(500);
    all[0]?.overloaded();
    expect(gate.load()).toMatchObject({ limit: 2, paused: true });
    timers.ring(500);
    for (const one of all) await one.answer();
    expect(gate.load()).toEqual({ limit: 2, inFlight: 0, waiting: 0, paused: false });
  });

  it('comes back to its ceiling, and says that too', async () => {
    const { gate, said } = setup(2);
    const first = request(gate);
    await turns();
    await first.fail(busy());
    expect(gate.load().limit).toBe(1);
    const second = request(gate);
    await turns();
    await second.answer();
    expect(gate.load().limit).toBe(2);
    expect(said.at(-1)).toBe('http://service is well again: up to 2 requests at once');
  });

  it('lets a caller leave who was cancelled while it waited', async () => {
    const { gate } = setup(1);
    const first = request(gate);
    const caller = new AbortController();
    const [second, third] = [request(gate, caller.signal), request(gate)];
    caller.abort(new Error('cancelled'));
    await expect(second.done).rejects.toThrow('cancelled');
    await first.answer();
    await turns();
    expect([second.sent(), third.sent()]).toEqual([false, true]);
    await expect(gate.run(async () => {}, caller.signal, patience)).rejects.toThrow('cancelled');
  });

  it('lets nobody wait for ever', async () => {
    const { gate, timers } = setup(1);
    const first = request(gate);
    const second = request(gate);
    timers.ring(patience);
    await expect(second.done).rejects.toMatchObject({ kind: 'retryable', timedOut: false });
    await expect(second.done).rejects.toThrow(
      /at most 1 requests at once, and 1 wait; this one gave up after 60000 ms/,
    );
    expect(gate.load().waiting).toBe(0);
    await first.answer();
  });

  it('leaves no timer and no listener behind', async () => {
    const { gate, timers } = setup(1);
    const { signal: watched } = new AbortController();
    const counted = { add: vi.spyOn(watched, 'addEventListener'), remove: vi.spyOn(watched, 'removeEventListener') };
    const held = request(gate);
    const all = Array.from({ length: 3 }, () => gate.run(async () => {}, watched, patience));
    expect(timers.pending()).toEqual([patience, patience, patience]);
    await held.answer();
    await Promise.all(all);
    expect(timers.pending()).toEqual([]);
    expect(counted.remove.mock.calls.length).toBe(counted.add.mock.calls.length);
  });

  it('is one for an address, with the smallest ceiling that was asked for', () => {
    const { gates, gate } = setup(8);
    expect(gates('http://service')).toBe(gate);
    expect(gates('http://other')).not.toBe(gate);
    gates('http://service', 3);
    gates('http://service', 5);
    expect(gate.load().limit).toBe(3);
  });
});

describe('a gate that is watched', () => {
  it('says how it is used after every change, and how each request ended', async () => {
    const used: Load[] = [];
    const ended: Outcome[] = [];
    let waits = 0;
    const watch: GateWatch = {
      used: (address, load) => {
        expect(address).toBe('http://service');
        used.push(load);
      },
      waited: () => {
        waits += 1;
      },
      ended: (_address, outcome) => ended.push(outcome),
    };
    const gate = createGates(() => {}, fakeTimers().later, watch)('http://service', 1);
    const leaving = new AbortController();
    const [first, second, third] = [request(gate), request(gate), request(gate, leaving.signal)];
    await turns();
    expect(used.at(-1)).toEqual({ limit: 1, inFlight: 1, waiting: 2, paused: false });
    leaving.abort(new Error('gone'));
    expect(used.at(-1)).toEqual({ limit: 1, inFlight: 1, waiting: 1, paused: false });
    await first.answer();
    await second.fail(busy());
    await third.done.catch(() => {});
    expect(used.at(-1)).toEqual({ limit: 1, inFlight: 0, waiting: 0, paused: false });
    expect([ended, waits]).toEqual([['answered', '429'], 2]);
  });

  it.each([
    [new ServiceError('retryable', 'x', { service: 's', status: 503 }), '503'],
    [new ServiceError('retryable', 'x', { service: 's', timedOut: true }), 'timeout'],
    [new ServiceError('retryable', 'x', { service: 's', status: 500 }), 'unavailable'],
    [new ServiceError('lost', 'x', { service: 's', status: 404 }), 'lost'],
    [new ServiceError('fatal', 'x', { service: 's', status: 400 }), 'refused'],
    [new TypeError('x'), 'fault'],
  ])('%s ended as %s', (error, outcome) => {
    expect(outcomeOf(error, signal)).toBe(outcome);
    expect(outcomeOf(error, AbortSignal.abort())).toBe('cancelled');
  });
});
