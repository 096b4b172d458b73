import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { foldLedger } from '../../../src/core/ledger/ledger.ts';
import { settle } from '../../../src/core/ledger/settle.ts';
import type { Account, ServedCall, Tally, Unit } from '../../../src/core/ledger/types.ts';
import { callOf } from '../../../src/core/ledger/units.ts';
import { addUsage, noUsage, type Usage } from '../../../src/core/usage.ts';

interface Attempt {
  /** Calls of the unit that were served before it died; all of them: it may store the unit. */
  calls: number;
  /** Whether it died while the last of them was computed. */
  goneAtLast: boolean;
}

interface UnitHistory {
  calls: number;
  /** Requests that each call needs. */
  requests: number;
  attempts: Attempt[];
  isStored: boolean;
}

const unitHistory = fc.record({
  calls: fc.integer({ min: 1, max: 3 }),
  requests: fc.integer({ min: 1, max: 2 }),
  attempts: fc.array(fc.record({ calls: fc.nat(3), goneAtLast: fc.boolean() }), { maxLength: 3 }),
  isStored: fc.boolean(),
});

const history = fc.record({
  units: fc.array(unitHistory, { minLength: 1, maxLength: 5 }),
  finished: fc.boolean(),
  /** Draws by which the servings of all units are mixed. */
  order: fc.infiniteStream(fc.nat()),
});

/** What kills and retries at any moments leave behind: the journal and the stored objects. */
function live({
  units,
  finished,
  order,
}: {
  units: UnitHistory[];
  finished: boolean;
  order: Iterator<number>;
}): Account {
  const queues = units.map((unit, u) => servingsOf(unit, u));
  const served: ServedCall[] = [];
  while (queues.some((queue) => queue.length > 0)) {
    const waiting = queues.filter((queue) => queue.length > 0);
    served.push(waiting[order.next().value % waiting.length]!.shift()!);
  }
  const made = units.map((unit, u): Unit => {
    const calls = Array.from({ length: unit.calls }, (_, c) => `s/p${u}/0/call-${c}`);
    const usage = { calls: unit.calls * unit.requests, promptTokens: 0, completionTokens: 0 };
    return { result: `p${u}/round-0`, prefix: `s/p${u}/0/`, part: `p${u}`, calls: unit.isStored ? calls : null, usage };
  });
  return { stage: 'search', finished, units: made, served };
}

function servingsOf({ calls, requests, attempts, isStored }: UnitHistory, u: number): ServedCall[] {
  const all = isStored ? [...attempts, { calls, goneAtLast: false }] : attempts;
  return all.flatMap((attempt, a) => {
    const served = Array.from({ length: Math.min(calls, attempt.calls) }, (_, c) =>
      Array.from({ length: requests }, (_, r): ServedCall => {
        const id = `s/p${u}/0/call-${c}${r === 0 ? '' : `/more-${r}`}`;
        return {
          id,
          activity: 'run/1',
          attempt: a + 1,
          promptTokens: 10 + c,
          completionTokens: 3 + u + r,
          delivered: true,
        };
      }),
    ).flat();
    const last = served.at(-1);
    if (attempt.goneAtLast && last !== undefined) last.delivered = false;
    return served;
  });
}

const sum = (served: readonly ServedCall[]): Usage =>
  served.reduce(
    (total, { promptTokens, completionTokens }) => addUsage(total, { calls: 1, promptTokens, completionTokens }),
    noUsage,
  );

const all = ({ credited, wasted, open }: Tally): Usage => addUsage(credited, addUsage(wasted, open ?? noUsage));

describe('an account after any kills and retries', () => {
  it('balances: served = credited + wasted + open, in total and by part, without an error', () => {
    fc.assert(
      fc.property(history, (of) => {
        const account = live({ ...of, order: of.order[Symbol.iterator]() });
        const { total, parts, errors } = settle(account);
        expect(errors).toEqual([]);
        expect(all(total)).toEqual(sum(account.served!));
        for (const [part, tally] of parts)
          expect(all(tally)).toEqual(sum(account.served!.filter(({ id }) => id.startsWith(`s/${part}/`))));
        if (of.finished) expect(total.open).toEqual(noUsage);
      }),
    );
  });

  it('credits every request of a stored object once, whatever else was served', () => {
    fc.assert(
      fc.property(history, (of) => {
        const account = live({ ...of, order: of.order[Symbol.iterator]() });
        const stored = account.units.filter(({ calls }) => calls !== null);
        const calls = stored.reduce((total, { usage }) => total + usage.calls, 0);
        expect(settle(account).total.credited.calls).toBe(calls);
        expect(settle({ ...account, served: null }).total).toMatchObject({
          credited: { calls },
          open: null,
          estimated: true,
        });
      }),
    );
  });

  it('gives the reasons of all waste', () => {
    fc.assert(
      fc.property(history, (of) => {
        const { total, wastedBy } = settle(live({ ...of, order: of.order[Symbol.iterator]() }));
        expect(Object.values(wastedBy).reduce(addUsage, noUsage)).toEqual(total.wasted);
        expect(wastedBy.unexplained).toBeUndefined();
      }),
    );
  });
});

const stored = history.filter(({ units }) => units.some(({ isStored }) => isStored));
const kinds = (account: Account) => settle(account).errors.map(({ kind, call }) => [kind, call]);

describe('the books are wrong', () => {
  it('when two stored objects name one call', () => {
    fc.assert(
      fc.property(stored, fc.nat(), (of, pick) => {
        const account = live({ ...of, order: of.order[Symbol.iterator]() });
        const credited = account.units.flatMap(({ calls }) => calls ?? []);
        const call = credited[pick % credited.length]!;
        const thief: Unit = { result: 'thief', prefix: 's/thief/', part: 'thief', calls: [call], usage: noUsage };
        const wrong = { ...account, units: [...account.units, thief] };
        expect(kinds(wrong)).toEqual([['credited twice', call]]);
        expect(all(settle(wrong).total)).toEqual(sum(account.served!));
      }),
    );
  });

  it('when a stored object names a call that was never served', () => {
    fc.assert(
      fc.property(stored, fc.nat(), (of, pick) => {
        const account = live({ ...of, order: of.order[Symbol.iterator]() });
        const credited = account.units.flatMap(({ calls }) => calls ?? []);
        const call = credited[pick % credited.length]!;
        const served = account.served!.filter(({ id }) => callOf(id) !== call);
        expect(kinds({ ...account, served })).toEqual([['never served', call]]);
        expect(all(settle({ ...account, served }).total)).toEqual(sum(served));
      }),
    );
  });

  it('when a call was served that nothing explains', () => {
    fc.assert(
      fc.property(stored, fc.nat(), fc.constantFrom('same attempt', 'no unit', 'not named'), (of, pick, how) => {
        const account = live({ ...of, order: of.order[Symbol.iterator]() });
        const unit = account.units.find(({ calls }) => calls !== null)!;
        const author = account.served!.filter(({ id, delivered }) => delivered && unit.calls!.includes(id)).at(-1)!;
        const extra = {
          'same attempt': author,
          'no unit': { ...author, id: `s/elsewhere/${pick}` },
          'not named': { ...author, id: `${unit.prefix}call-9`, attempt: authorAttempt(account, unit) },
        }[how];
        const wrong = { ...account, served: [...account.served!, extra] };
        expect(kinds(wrong)).toEqual([['unexplained', extra.id]]);
        expect(all(settle(wrong).total)).toEqual(sum(wrong.served));
      }),
    );
  });

  it('when a finished stage left a served call without an object only if nobody gave it up', () => {
    const serving: ServedCall = {
      id: 'rl/k/iter-7/0',
      activity: 'run/1',
      attempt: 1,
      promptTokens: 1,
      completionTokens: 1,
      delivered: true,
    };
    const unit: Unit = { result: 'iter-7', prefix: 'rl/k/iter-7/', part: 'iter-7', calls: null, usage: noUsage };
    const account = { stage: 'rl', finished: true, served: [serving] };
    expect(settle({ ...account, units: [unit] })).toMatchObject({ errors: [], wastedBy: { 'given up': { calls: 1 } } });
    expect(kinds({ ...account, units: [] })).toEqual([['unexplained', serving.id]]);
  });
});

/** The first attempt that was given most of a unit's requests: in these histories that is all of them. */
function authorAttempt({ served }: Account, { prefix }: Unit): number {
  const given = (attempt: number) =>
    served!.filter((s) => s.delivered && s.attempt === attempt && s.id.startsWith(prefix)).length;
  return [1, 2, 3, 4].reduce((best, attempt) => (given(attempt) > given(best) ? attempt : best));
}

describe('an object that another run paid for', () => {
  it('explains what this one was served for it', () => {
    const unit: Unit = { result: 'round-3', prefix: 's/p/3/', part: 'p', calls: [], usage: noUsage, elsewhere: true };
    const serving = { activity: 'run/1', attempt: 1, promptTokens: 1, completionTokens: 1, delivered: true };
    const served = [{ id: 's/p/3/expand-0', ...serving }];
    const { errors, wastedBy } = settle({ stage: 'search', finished: true, units: [unit], served });
    expect(errors).toEqual([]);
    expect(wastedBy).toEqual({ 'another attempt': { calls: 1, promptTokens: 1, completionTokens: 1 } });
  });
});

describe('a ledger', () => {
  it('adds the accounts of a stage up, and is an estimate where one of them has no journal', () => {
    const usage = { calls: 2, promptTokens: 3, completionTokens: 4 };
    const unit = (role: string): Unit => ({ result: role, prefix: role, part: 'tree', calls: [role], usage });
    const account = (role: string, served: Account['served']): Account => ({
      stage: 'linearize',
      finished: true,
      units: [unit(role)],
      served,
      // With a journal it is not needed.
      lost: [{ part: 'tree', usage }],
    });
    const judged: ServedCall = {
      id: 'judge',
      activity: 'run/1',
      attempt: 1,
      promptTokens: 5,
      completionTokens: 6,
      delivered: true,
    };
    const ledger = foldLedger([account('judge', [judged]), account('narrate', null)]);
    const credited = { calls: 3, promptTokens: 8, completionTokens: 10 };
    expect(ledger.stages).toHaveLength(1);
    const tally = { credited, wasted: usage, open: null, estimated: true };
    expect(ledger.stages[0]).toMatchObject({ ...tally, errors: 0 });
    expect(ledger.stages[0]?.parts).toEqual([{ part: 'tree', ...tally }]);
    expect(ledger.total).toEqual(tally);
  });
});

describe('a request that was asked of one server after another', () => {
  const unit: Unit = {
    result: 'p/round-0',
    prefix: 's/p/0/',
    part: 'p',
    calls: ['s/p/0/expand-0'],
    usage: { calls: 1, promptTokens: 0, completionTokens: 7 },
  };
  const serving = (id: string, change: Partial<ServedCall> = {}): ServedCall => ({
    id,
    activity: 'a',
    attempt: 1,
    promptTokens: 0,
    completionTokens: 7,
    delivered: true,
    ...change,
  });
  const settled = (...served: ServedCall[]) => settle({ stage: 'search', finished: true, units: [unit], served });

  it('is credited once, for the answer of the last one', () => {
    const { total, wastedBy, errors } = settled(
      serving('s/p/0/expand-0/again-1'),
      serving('s/p/0/expand-0', { completionTokens: 5 }),
    );
    expect(errors).toEqual([]);
    expect(total.credited.completionTokens).toBe(7);
    expect(wastedBy).toEqual({ 'asked again': { calls: 1, promptTokens: 0, completionTokens: 5 } });
  });

  it('is credited for the first where the second one had no answer', () => {
    const { total, errors } = settled(
      serving('s/p/0/expand-0'),
      serving('s/p/0/expand-0/again-1', { delivered: false }),
    );
    expect(errors).toEqual([]);
    expect([total.credited.calls, total.wasted.calls]).toEqual([1, 1]);
  });

  it('belongs to its call in all of its parts', () => {
    const id = 's/p/0/expand-0/prompt-3/more-1/logprobs/again-2';
    expect(callOf(id)).toBe('s/p/0/expand-0');
    const { total, errors } = settled(
      serving('s/p/0/expand-0/prompt-0'),
      serving(id),
      serving('s/p/0/expand-0/prompt-1/again-1'),
    );
    expect(errors).toEqual([]);
    expect(total.credited.calls).toBe(3);
  });
});
