import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { UpdateResult } from '../../src/activities/reinforce.ts';
import type { TrainStepsResult } from '../../src/activities/train.ts';
import { artifactNames, type Plan, type RlPlan } from '../../src/config/plan.ts';
import type { ArtifactRef } from '../../src/core/artifact.ts';
import type { Checkpoint } from '../../src/core/checkpoint.ts';
import type { ArtifactStore } from '../../src/services/store/store.ts';
import type { LiveModel } from '../../src/services/trainer/trainer.ts';
import { type Lab, openLab } from '../support/lab.ts';
import { type LiveTrainer, liveTrainer } from '../support/live-trainer.ts';
import { memoryStore } from '../support/memory-store.ts';
import { type Paced, paced } from '../support/paced.ts';
import { tinyRun } from '../support/pipeline.ts';

/**
 * A zombie is an attempt that Temporal has given up (its heartbeats did not arrive) and that goes on: it steps the model
 * it was handed, saves, and stores. Here its calls are put between those of the retry, in every place.
 */

/** Where a durable step of training begins or ends. */
interface Point {
  checkpoint: Checkpoint;
  live: LiveModel | null;
}

/** Two attempts of one durable step that share trainer and store, and what comes before and after it. */
interface Scene {
  store: ArtifactStore;
  trainer: LiveTrainer;
  /** One attempt of the step, by `around` stopped before each of its calls. */
  attempt(number: number, from: Point, around: <S extends object>(service: S) => S): Promise<Point>;
  next(from: Point): Promise<Point>;
  /** Where the step begins, with the live model that the step before it left. */
  begin(): Promise<Point>;
  /** What the store holds of the step. */
  stored(): Promise<Point>;
}

const base: Checkpoint = { id: 'base', step: 0, base: 'scripted-base', trainerState: null };
const plainly = <S extends object>(service: S): S => service;

let lab: Lab;
let plan: Plan;
beforeAll(async () => {
  lab = await openLab();
  plan = await lab.plan(tinyRun);
});
afterAll(() => lab.close());

/** Steps 2 to 4 of six, in chunks of two. */
async function fineTuning(forgets = true): Promise<Scene> {
  const store = memoryStore();
  const trainer = liveTrainer({ forgets });
  const rows = Array.from({ length: 10 }, (_, i) => ({ promptTokens: [1, i], completionTokens: [i, 2] }));
  await store.putLines(artifactNames.rows(plan.linearize.key, 'search'), rows);
  const sft = { ...plan.sft.search, params: { ...plan.sft.search.params, steps: 6 } };
  const chunk = (attempt: number, from: Point, toStep: number, around = plainly): Promise<TrainStepsResult> =>
    lab.call(
      'trainSteps',
      { plan: sft, ...from, toStep },
      { attempt, doubles: { trainer: () => around(trainer), store: () => around(store) } },
    );
  return {
    store,
    trainer,
    attempt: (number, from, around) => chunk(number, from, 4, around),
    next: (from) => chunk(1, from, 6),
    begin: () => chunk(1, { checkpoint: base, live: null }, 2),
    stored: async () => store.getJson(await found(store, artifactNames.sftStep(sft.key, 4))),
  };
}

/** The second iteration's update in two optimiser steps, on answers that are given. */
async function updating(forgets = true): Promise<Scene> {
  const store = memoryStore();
  const trainer = liveTrainer({ forgets });
  const rl: RlPlan = { ...plan.rl.search, params: { ...plan.rl.search.params, stepsPerIteration: 2, iterations: 3 } };
  const update = async (attempt: number, from: Point, iteration: number, around = plainly): Promise<UpdateResult> =>
    lab.call(
      'updatePolicy',
      { plan: rl, iteration, rollouts: await answers(store, rl, iteration), ...from },
      { attempt, doubles: { trainer: () => around(trainer), store: () => around(store) } },
    );
  return {
    store,
    trainer,
    attempt: (number, from, around) => update(number, from, 1, around),
    next: (from) => update(1, from, 2),
    begin: () => update(1, { checkpoint: base, live: null }, 0),
    stored: async () => store.getJson(await found(store, artifactNames.update(rl.key, 1))),
  };
}

function answers(store: ArtifactStore, rl: RlPlan, iteration: number): Promise<ArtifactRef> {
  const records = Array.from({ length: 16 }, (_, i) => ({
    group: Math.floor(i / 4),
    promptTokens: [1, iteration],
    completionTokens: [i, 2],
    samplerLogprobs: [-1, -1],
    text: '',
    reward: i % 2 === 0 ? 1 : -1,
    verdict: { correct: i % 2 === 0, reason: '' },
    truncated: false,
    callId: `call-${iteration}`,
  }));
  return store.putLines(artifactNames.rollouts(rl.key, iteration), records);
}

async function found(store: ArtifactStore, name: string): Promise<ArtifactRef> {
  const ref = await store.find(name);
  if (ref === null) throw new Error(`${name} is not stored`);
  return ref;
}

describe.each([
  ['a chunk of fine-tuning', fineTuning],
  ['an update of RL', updating],
])('a zombie attempt of %s', (_what, open) => {
  /** States after the step and after the next one, without a zombie; and how many calls an attempt makes. */
  let after: object;
  let afterNext: object;
  let calls: { first: number; retry: number };

  beforeEach(async () => {
    const calm = await open();
    const done = await calm.attempt(1, await calm.begin(), plainly);
    after = calm.trainer.stateOf(done.checkpoint);
    afterNext = calm.trainer.stateOf((await calm.next(done)).checkpoint);
    calls = { first: await callsOf(1), retry: await callsOf(2) };
  });

  async function callsOf(number: number): Promise<number> {
    const scene = await open();
    const from = await scene.begin();
    let made = 0;
    const counting = <S extends object>(service: S): S =>
      new Proxy(service, {
        get(target, name, receiver) {
          if (name !== 'locate') made += 1;
          return Reflect.get(target, name, receiver);
        },
      });
    await scene.attempt(number, from, counting);
    return made;
  }

  async function meet(order: (zombie: Paced<Point>, retry: Paced<Point>) => Promise<unknown>, forgets = true) {
    const scene = await open(forgets);
    const from = await scene.begin();
    const zombie = paced((around) => scene.attempt(1, from, around));
    const retry = paced((around) => scene.attempt(2, from, around));
    await order(zombie, retry);
    await retry.advance();
    const outcome = await retry.outcome;
    if (outcome.status === 'rejected') throw outcome.reason;
    return { scene, zombie, retry: outcome.value };
  }

  it.each([
    ['was taken from it', true],
    ['is still there', false],
  ])('changes nothing, wherever its calls fall between those of the retry, and its model %s', async (_is, forgets) => {
    expect(calls.first).toBeGreaterThan(8);
    for (let i = 0; i <= calls.first; i++) {
      for (let j = 0; j <= calls.retry; j++) {
        const { scene, zombie, retry } = await meet(async (first, second) => {
          await first.advance(i);
          await second.advance(j);
          await first.advance();
        }, forgets);
        const place = `${i} calls of the zombie, then ${j} of the retry`;
        const stored = await scene.stored();
        expect(scene.trainer.stateOf(stored.checkpoint), place).toEqual(after);
        expect(retry.checkpoint, place).toEqual(stored.checkpoint);
        const settled = await zombie.outcome;
        if (settled.status === 'fulfilled') expect(settled.value.checkpoint, place).toEqual(stored.checkpoint);
        // What the retry hands on, live model or not, is a good point to continue from.
        const next = await scene.next(retry);
        expect(scene.trainer.stateOf(next.checkpoint), place).toEqual(afterNext);
      }
    }
  });

  it('changes nothing either when it wakes after the next step is done', async () => {
    for (let i = 0; i <= calls.first; i++) {
      const { scene, zombie, retry } = await meet((first) => first.advance(i), false);
      const next = await scene.next(retry);
      await zombie.advance();
      await zombie.outcome;
      expect(scene.trainer.stateOf((await scene.stored()).checkpoint)).toEqual(after);
      expect(scene.trainer.stateOf(next.checkpoint)).toEqual(afterNext);
    }
  });

  it('counts where it stores first: the retry takes its checkpoint and none of its models', async () => {
    const { scene, zombie, retry } = await meet(async (first, second) => {
      // Both have trained and saved; only their results are not stored yet.
      await first.advance(calls.first - 2);
      await second.advance(calls.retry - 2);
      await first.advance();
    });
    const stored = await scene.stored();
    expect(await zombie.outcome).toMatchObject({ status: 'fulfilled', value: { checkpoint: stored.checkpoint } });
    expect(retry.checkpoint).toEqual(stored.checkpoint);
    expect(retry.live).toBeNull();
  });

  it('is refused by the trainer once the retry has begun', async () => {
    const { zombie } = await meet((first) => first.advance(5));
    await zombie.advance();
    expect(await zombie.outcome).toMatchObject({ status: 'rejected', reason: { type: 'ServiceLostState' } });
  });

  it('saves under a name of its own', async () => {
    const scene = await open();
    const from = await scene.begin();
    const names: string[] = [];
    const listening = <S extends object>(service: S): S =>
      !('restore' in service)
        ? service
        : Object.assign(Object.create(service), {
            save: (...args: Parameters<LiveTrainer['save']>) => {
              names.push(args[1]);
              throw new Error('killed before the save was answered');
            },
          });
    for (const number of [1, 2, 3]) await expect(scene.attempt(number, from, listening)).rejects.toThrow('killed');
    expect(new Set(names).size).toBe(3);
  });
});
