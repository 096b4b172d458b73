import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ServiceError } from '../../../src/services/errors.ts';
import { createGates } from '../../../src/services/gate.ts';
import { createPool, type Pool } from '../../../src/services/pool/pool.ts';
import type { Server } from '../../../src/services/pool/server.ts';
import { namedVersions, type Versions } from '../../../src/services/pool/versions.ts';

const { signal } = new AbortController();
const of = { name: 'the sampler', path: 'policy.sampler' };
const asked = { version: 'base', affinity: () => 'problem' };
const turns = async (count = 20) => {
  for (let turn = 0; turn < count; turn++) await Promise.resolve();
};

const unreachable = () =>
  new ServiceError('retryable', 'nobody listens', {
    service: of.name,
    cause: Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }),
  });
const broken = () => new ServiceError('retryable', 'broken', { service: of.name, status: 500 });
const lost = () => new ServiceError('lost', 'no such model', { service: of.name, status: 404 });

/** A pool of servers `a`, `b`, … whose lists of models a test holds, on a clock that it moves. */
function setup(options: { count?: number; limits?: number[]; versions?: Partial<Versions> } = {}) {
  const limits = options.limits ?? Array.from({ length: options.count ?? 2 }, () => 4);
  const names = limits.map((_, at) => String.fromCharCode(97 + at));
  const models = new Map<string, string[] | Error>(names.map((name) => [name, ['base']]));
  const said: string[] = [];
  const clock = { now: 0 };
  const probed: string[] = [];
  const pool = createPool(
    {
      baseUrl: 'unused',
      timeoutMs: 60_000,
      endpoints: names.map((name, at) => ({ name, baseUrl: `http://${name}`, maxConcurrency: limits[at] })),
    },
    {},
    {
      of,
      gates: createGates(() => {}),
      versions: { ...namedVersions, timeoutMs: 1_000, ...options.versions },
      warn: (message) => void said.push(message),
      now: () => clock.now,
      list: async ({ name }) => {
        probed.push(name);
        const found = models.get(name) ?? unreachable();
        if (found instanceof Error) throw found;
        return found;
      },
    },
  );
  return { pool, models, said, clock, probed, names };
}

/** Requests that a test answers, by server. */
function desk(pool: Pool) {
  const open: { server: string; answer(): void; fail(error: unknown): void }[] = [];
  const send = (version = 'base') =>
    pool.run(
      { ...asked, version },
      ({ name }) =>
        new Promise<string>((resolve, reject) =>
          open.push({ server: name, answer: () => resolve(name), fail: reject }),
        ),
      signal,
    );
  return { open, send, at: (name: string) => open.filter(({ server }) => server === name) };
}

describe('several servers as one', () => {
  it('get requests by the share of what they take', async () => {
    const { pool } = setup({ limits: [6, 2] });
    const { send, at } = desk(pool);
    for (let request = 0; request < 8; request++) void send();
    await turns();
    expect([at('a').length, at('b').length]).toEqual([6, 2]);
    expect(pool.load()).toEqual({ limit: 8, inFlight: 8, waiting: 0, paused: false });
  });

  it('leave a slow one to what it has', async () => {
    const { pool } = setup();
    const { send, open } = desk(pool);
    const first = [send(), send()];
    await turns();
    const [slow, quick] = open;
    quick?.answer();
    await Promise.race(first);
    for (let request = 0; request < 6; request++) {
      const next = send();
      await turns();
      expect(open.at(-1)?.server).not.toBe(slow?.server);
      open.at(-1)?.answer();
      await next;
    }
  });

  it('answer a request elsewhere when one does not listen, which then gets none until it is back', async () => {
    const { pool, said, clock, models, probed } = setup();
    const served: string[] = [];
    const task = async ({ name }: Server, tries: number) => {
      if (models.get(name) instanceof Error) throw unreachable();
      served.push(`${name} ${tries}`);
      return name;
    };
    models.set('a', unreachable());
    for (let request = 0; request < 5; request++) expect(await pool.run(asked, task, signal)).toBe('b');
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(/a at http:\/\/a is out \(nobody listens\)/);
    expect(served.filter((one) => one !== 'b 0').length).toBeLessThanOrEqual(1);

    clock.now = 999;
    await pool.run(asked, task, signal);
    expect(probed).toEqual([]);
    clock.now = 1_000;
    await pool.run(asked, task, signal);
    await turns();
    expect(probed).toEqual(['a']);
    // Still away: twice as long until the next look.
    clock.now = 2_999;
    await pool.run(asked, task, signal);
    models.set('a', ['base']);
    clock.now = 3_000;
    await pool.run(asked, task, signal);
    await turns();
    expect(probed).toEqual(['a', 'a']);
    expect(said[1]).toMatch(/a at http:\/\/a is back/);
    const names = await Promise.all([pool.run(asked, task, signal), pool.run(asked, task, signal)]);
    expect(new Set(names)).toEqual(new Set(['a', 'b']));
  });

  it('take out one that answers with errors again and again, and not for one error', async () => {
    const { pool, said } = setup();
    const task = async ({ name }: Server) => {
      if (name === 'a') throw broken();
      return name;
    };
    const busy = { ...asked, affinity: () => String(Math.random()) };
    for (let request = 0; said.length === 0 && request < 100; request++) {
      expect(await pool.run(busy, task, signal)).toBe('b');
    }
    expect(said[0]).toMatch(/a at http:\/\/a is out \(broken\)/);
  });

  it('do not blame a server for refusing a request, or for asking for time', async () => {
    const { pool, said } = setup();
    const refused = new ServiceError('fatal', 'bad request', { service: of.name, status: 400 });
    let begun = 0;
    const refuse = async () => {
      begun += 1;
      throw refused;
    };
    for (let request = 0; request < 5; request++) await expect(pool.run(asked, refuse, signal)).rejects.toBe(refused);
    expect(begun).toBe(5);
    const later = new ServiceError('retryable', 'busy', { service: of.name, status: 503, retryAfterMs: 1 });
    await expect(pool.run(asked, async () => Promise.reject(later), signal)).rejects.toBe(later);
    expect(said).toEqual([]);
  });

  it('let requests that wait for a server go elsewhere when it is taken out', async () => {
    const { pool } = setup({ limits: [1, 1] });
    const { send, open, at } = desk(pool);
    const sent = [send(), send(), send(), send()];
    await turns();
    expect(open).toHaveLength(2);
    at('a')[0]?.fail(unreachable());
    const answered = new Set<unknown>();
    for (let round = 0; round < 10; round++) {
      await turns();
      for (const request of at('b').filter((one) => !answered.has(one))) {
        answered.add(request);
        request.answer();
      }
    }
    expect(await Promise.all(sent)).toEqual(['b', 'b', 'b', 'b']);
    expect(at('a')).toHaveLength(1);
  });

  it('are all asked once more when all are out, and the error says that none answers', async () => {
    const { pool, models, probed } = setup();
    models.set('a', unreachable()).set('b', unreachable());
    const away = async () => Promise.reject(unreachable());
    await expect(pool.run(asked, away, signal)).rejects.toThrow('nobody listens');
    await expect(pool.run(asked, away, signal)).rejects.toThrow(/none of 2 servers answers/);
    expect(probed.sort()).toEqual(['a', 'b']);
    models.set('b', ['base']);
    expect(await pool.run(asked, async ({ name }) => name, signal)).toBe('b');
  });

  it('end with the caller, who is told its own reason', async () => {
    const { pool } = setup();
    const caller = new AbortController();
    const reason = new Error('cancelled');
    const waits = pool.run(asked, () => new Promise(() => {}), caller.signal);
    caller.abort(reason);
    const next = pool.run(asked, async () => 'never', caller.signal);
    await expect(next).rejects.toBe(reason);
    void waits.catch(() => {});
  });

  it('never hold more than their limits, and answer every request once as long as one lives', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 2, maxLength: 4 }),
        fc.array(fc.nat(7), { minLength: 1, maxLength: 25 }),
        // Which servers die after how many requests; the last one lives.
        fc.array(fc.nat(12), { minLength: 3, maxLength: 3 }),
        fc.boolean(),
        async (limits, efforts, deaths, comesBack) => {
          const { pool, names, models, clock } = setup({ limits });
          const holds = new Map(names.map((name) => [name, 0]));
          const begun = new Map(names.map((name) => [name, 0]));
          const mortal = new Map(names.slice(0, -1).map((name, at) => [name, deaths[at] ?? 0]));
          const isDead = (name: string) => {
            const count = begun.get(name) ?? 0;
            const end = mortal.get(name);
            return end !== undefined && count > end && !(comesBack && count > end + 2);
          };
          let answers = 0;
          const served = await Promise.all(
            efforts.map((effort) =>
              pool.run(
                { version: 'base', affinity: () => String(effort) },
                async ({ name }) => {
                  const at = names.indexOf(name);
                  begun.set(name, (begun.get(name) ?? 0) + 1);
                  holds.set(name, (holds.get(name) ?? 0) + 1);
                  expect(holds.get(name)).toBeLessThanOrEqual(limits[at] as number);
                  await turns(effort);
                  holds.set(name, (holds.get(name) ?? 0) - 1);
                  clock.now += 400;
                  models.set(name, isDead(name) ? unreachable() : ['base']);
                  if (isDead(name)) throw effort % 2 === 0 ? unreachable() : broken();
                  answers += 1;
                  return effort;
                },
                signal,
              ),
            ),
          );
          expect(served).toEqual(efforts);
          expect(answers).toBe(efforts.length);
          expect([...holds.values()].every((count) => count === 0)).toBe(true);
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe('a version in a pool', () => {
  it('is asked of the servers that know it, and is lost only where none does', async () => {
    const { pool } = setup({ count: 3 });
    const tried: string[] = [];
    const task = async ({ name }: Server) => {
      tried.push(name);
      if (name !== 'c') throw lost();
      return name;
    };
    expect(await pool.run({ ...asked, version: 'v1' }, task, signal)).toBe('c');
    tried.length = 0;
    expect(await pool.run({ ...asked, version: 'v1' }, task, signal)).toBe('c');
    expect(tried.length).toBeLessThanOrEqual(2);
    const none = pool.run({ ...asked, version: 'v2' }, async () => Promise.reject(lost()), signal);
    await expect(none).rejects.toMatchObject({ kind: 'lost' });
  });

  it('is confirmed when every server that takes part lists it', async () => {
    const { pool, models } = setup();
    await expect(pool.confirm('v1', signal)).rejects.toMatchObject({ kind: 'lost' });
    models.set('a', ['base', 'v1']);
    await expect(pool.confirm('v1', signal)).rejects.toMatchObject({ kind: 'lost' });
    models.set('b', ['base', 'v1']);
    await pool.confirm('v1', signal);
  });

  it('is confirmed without a server that is away, and not while all are', async () => {
    const { pool, models } = setup();
    models.set('a', ['v1']).set('b', unreachable());
    await pool.confirm('v1', signal);
    models.set('a', unreachable());
    await expect(pool.confirm('v1', signal)).rejects.toMatchObject({ kind: 'retryable' });
  });

  it('waits for a server that is there and answers with errors', async () => {
    const { pool, models } = setup();
    models.set('a', ['v1']).set('b', broken());
    await expect(pool.confirm('v1', signal)).rejects.toMatchObject({ status: 500 });
  });

  it('is brought to each server once, however many requests wait for it', async () => {
    const brought: string[] = [];
    const { pool } = setup({
      versions: {
        concerns: (version) => version !== 'base',
        has: async () => false,
        bring: async (version, { name }) => void brought.push(`${version} to ${name}`),
      },
    });
    const task = async ({ name }: Server) => name;
    const requests = Array.from({ length: 10 }, () => pool.run({ ...asked, version: 'v1' }, task, signal));
    await Promise.all([...requests, pool.run(asked, task, signal)]);
    expect(brought.sort()).toEqual(['v1 to a', 'v1 to b']);
  });

  it('is brought again to a server that lost it, or came back without it', async () => {
    const loaded = new Map<string, Set<string>>([
      ['a', new Set()],
      ['b', new Set()],
    ]);
    const { pool, models, clock } = setup({
      versions: {
        concerns: () => true,
        has: async (version, { name }) => loaded.get(name)?.has(version) ?? false,
        bring: async (version, { name }) => void loaded.get(name)?.add(version),
      },
    });
    const task = async ({ name }: Server) => {
      if (models.get(name) instanceof Error) throw unreachable();
      if (!loaded.get(name)?.has('v1')) throw lost();
      return name;
    };
    const v1 = { ...asked, version: 'v1' };
    await pool.confirm('v1', signal);
    loaded.get('a')?.clear();
    loaded.get('b')?.clear();
    await Promise.all([pool.run(v1, task, signal), pool.run(v1, task, signal)]);

    models.set('a', unreachable());
    while ((await pool.run({ ...v1, affinity: () => `${clock.now++}` }, task, signal)) !== 'b');
    loaded.get('a')?.clear();
    models.set('a', ['base']);
    clock.now += 60_000;
    await pool.run(v1, task, signal);
    await turns();
    const both = await Promise.all([pool.run(v1, task, signal), pool.run(v1, task, signal)]);
    expect(new Set(both)).toEqual(new Set(['a', 'b']));
    expect(loaded.get('a')).toEqual(new Set(['v1']));
  });

  it('that takes the place of another one is brought back when that one is asked for', async () => {
    const has = new Map<string, string>();
    const { pool } = setup({
      count: 1,
      versions: {
        exclusive: true,
        concerns: () => true,
        has: async (version, { name }) => has.get(name) === version,
        bring: async (version, { name }) => void has.set(name, version),
      },
    });
    const answersWith = async ({ name }: Server) => has.get(name);
    for (const version of ['v1', 'v2', 'v1', 'base'])
      expect(await pool.run({ ...asked, version }, answersWith, signal)).toBe(version);
  });
});
