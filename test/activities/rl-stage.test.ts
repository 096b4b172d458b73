import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Activities } from '../../src/activities/index.ts';
import { artifactNames, type RlPlan } from '../../src/config/plan.ts';
import type { Checkpoint } from '../../src/core/checkpoint.ts';
import type { Problem } from '../../src/core/problem.ts';
import type { RolloutRecord } from '../../src/core/records.ts';
import type { Sampler } from '../../src/services/sampler/sampler.ts';
import type { LiveModel } from '../../src/services/trainer/trainer.ts';
import { type Lab, openLab } from '../support/lab.ts';
import { liveTrainer } from '../support/live-trainer.ts';
import { memoryStore } from '../support/memory-store.ts';
import { tinyRun } from '../support/pipeline.ts';

/** Where an attempt dies: at which of its calls, and whether the call is still carried out. */
interface Kill {
  call: number;
  carriedOut: boolean;
}

const iterations = 4;
const promptsPerIteration = 3;

let lab: Lab;
let plan: RlPlan;
let problems: Problem[];
beforeAll(async () => {
  lab = await openLab();
  const resolved = await lab.plan({ ...tinyRun, rl: { prompts: { split: 'train', count: 5 } } });
  const { params } = resolved.rl.search;
  plan = {
    ...resolved.rl.search,
    params: { ...params, iterations, promptsPerIteration, groupSize: 4, stepsPerIteration: 2 },
  };
  problems = await lab.store.getLines<Problem>(plan.prompts!);
});
afterAll(() => lab.close());

/**
 * The stage as the workflow drives it: every activity is tried until it is not killed, and before the iterations in
 * `restarts` another run takes over, which knows only what is stored.
 */
async function runStage(kills: readonly (Kill | null)[], restarts: ReadonlySet<number> = new Set()) {
  const store = memoryStore();
  const trainer = liveTrainer();
  const { signal } = new AbortController();
  const asked: string[] = [];
  const left = [...kills];

  const saved = await trainer.save(
    await trainer.restore(
      { id: 'base', step: 0, base: 'scripted-base', trainerState: null },
      { optimizer: false },
      signal,
    ),
    'sft',
    {},
    signal,
  );
  const tuned: Checkpoint = { id: 'sft/step-1', step: 1, base: 'scripted-base', trainerState: saved.trainerState };
  await store.putJson(artifactNames.result('sft', plan.sftKey), { checkpoint: tuned });
  const own: RlPlan = { ...plan, prompts: await store.putLines(plan.prompts!.uri, problems) };

  /** The answers of the scripted sampler depend on the model's name, which here depends on how many were made. */
  const samplerOf = (real: Sampler): Sampler => ({
    ...real,
    sample: (request, aborted) => {
      asked.push(request.callId);
      return real.sample({ ...request, model: 'scripted-search' }, aborted);
    },
  });

  async function call<Name extends keyof Activities>(name: Name, input: Parameters<Activities[Name]>[0]) {
    for (let attempt = 1; ; attempt++) {
      const deadly = mortal(left.shift() ?? null);
      try {
        return await lab.call(name, input, {
          attempt,
          doubles: {
            store: () => deadly.wrap(store),
            trainer: () => deadly.wrap(trainer),
            sampler: (real) => deadly.wrap(samplerOf(real)),
          },
        });
      } catch (error) {
        if (!deadly.struck()) throw error;
      }
    }
  }

  async function begin() {
    const start = await call('prepareRl', { plan: own });
    const { checkpoint } = await call('publish', {
      policy: own.policy,
      checkpoint: start.checkpoint,
      live: null,
      name: 'start',
      release: true,
    });
    return { ...start, checkpoint, live: null as LiveModel | null };
  }

  let state = await begin();
  while (state.iteration < iterations) {
    const { iteration, prompts, checkpoint, live } = state;
    const sampled = await call('rollout', { plan: own, iteration, prompts, checkpoint });
    const updated = await call('updatePolicy', { plan: own, iteration, rollouts: sampled.ref, checkpoint, live });
    if (restarts.has(iteration + 1)) {
      state = await begin();
      expect(state.iteration).toBe(iteration + 1);
      continue;
    }
    const published = await call('publish', {
      policy: own.policy,
      checkpoint: updated.checkpoint,
      live: updated.live,
      name: `iter-${iteration}`,
      release: false,
    });
    state = { ...state, iteration: iteration + 1, checkpoint: published.checkpoint, live: published.live };
  }

  const drawn: string[][] = [];
  for (let iteration = 0; iteration < iterations; iteration++) {
    const ref = await store.find(artifactNames.rollouts(own.key, iteration));
    const records = await store.getLines<RolloutRecord>(ref!);
    drawn.push([...new Map(records.map(({ group, problemId }) => [group, problemId])).values()]);
  }
  return { drawn, asked, end: trainer.stateOf(state.checkpoint), killsLeft: left.length };
}

/** Services of one attempt that die at a call; afterwards nothing of it is carried out any more. */
function mortal(kill: Kill | null) {
  let calls = 0;
  let dead = false;
  return {
    struck: () => dead,
    wrap: <S extends object>(service: S): S =>
      new Proxy(service, {
        get(target, name, receiver) {
          const real: unknown = Reflect.get(target, name, receiver);
          if (typeof real !== 'function' || name === 'locate') return real;
          return async (...args: unknown[]) => {
            if (dead) throw new Error('killed');
            const mine = calls === kill?.call;
            calls += 1;
            if (mine && !kill?.carriedOut) dead = true;
            const result = dead ? null : await real.apply(target, args);
            if (mine) dead = true;
            if (dead) throw new Error('killed');
            return result;
          };
        },
      }),
  };
}

describe('a stage of RL that is killed and continued', () => {
  it('draws every prompt once an epoch, and ends where an undisturbed one ends', async () => {
    const calm = await runStage([]);
    const order = calm.drawn.flat();
    expect(order).toHaveLength(iterations * promptsPerIteration);
    for (let epoch = 0; epoch + problems.length <= order.length; epoch += problems.length) {
      expect(new Set(order.slice(epoch, epoch + problems.length)).size).toBe(problems.length);
    }
    const kill = fc.record({ call: fc.nat(16), carriedOut: fc.boolean() });
    const kills = fc.array(fc.option(kill, { freq: 2 }), { maxLength: 24 });
    const restarts = fc.uniqueArray(fc.integer({ min: 1, max: iterations - 1 }));
    await fc.assert(
      fc.asyncProperty(kills, restarts, async (some, runs) => {
        const disturbed = await runStage(some, new Set(runs));
        expect(disturbed.drawn).toEqual(calm.drawn);
        expect(disturbed.end).toEqual(calm.end);
        // Answers may be asked for again only where an attempt died before it had stored them.
        expect(disturbed.asked.length - iterations).toBeLessThanOrEqual(some.filter((one) => one !== null).length);
      }),
      { numRuns: 40, seed: 1 },
    );
  });

  it('never samples answers again once they are stored, wherever the update dies', async () => {
    // Of a run's calls prepareRl, publish, rollout, updatePolicy, … the fourth is the first update.
    for (const carriedOut of [true, false]) {
      for (let at = 0; at < 14; at++) {
        const { asked, killsLeft } = await runStage([null, null, null, { call: at, carriedOut }]);
        expect(killsLeft).toBe(0);
        expect(asked).toEqual([0, 1, 2, 3].map((iteration) => `rl/${plan.key}/iter-${iteration}/0`));
      }
    }
  });

  it('asks again for answers that were sampled and not stored, by the same call id', async () => {
    // Calls of a rollout: find, the prompts, sample, put.
    const { asked, drawn, end } = await runStage([null, null, { call: 2, carriedOut: true }]);
    const calm = await runStage([]);
    expect(asked.filter((id) => id.endsWith('iter-0/0'))).toHaveLength(2);
    expect({ drawn, end }).toEqual({ drawn: calm.drawn, end: calm.end });
  });
});
