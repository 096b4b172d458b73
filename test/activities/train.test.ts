import { ActivityCancellationDetails, CancelledFailure } from '@temporalio/common';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TrainStepsInput, TrainStepsResult } from '../../src/activities/train.ts';
import { artifactNames, type Plan } from '../../src/config/plan.ts';
import type { Checkpoint } from '../../src/core/checkpoint.ts';
import type { SftRow } from '../../src/core/records.ts';
import { ServiceError } from '../../src/services/errors.ts';
import type { Publisher } from '../../src/services/publisher/publisher.ts';
import type { Sampler } from '../../src/services/sampler/sampler.ts';
import type { Trainer } from '../../src/services/trainer/trainer.ts';
import { type CallOptions, type Lab, mockEnvironment, openLab } from '../support/lab.ts';
import { tinyRun } from '../support/pipeline.ts';

const base: Checkpoint = { id: 'base', step: 0, base: 'scripted-base', trainerState: null };

let lab: Lab;
let plan: Plan;
/** What four undisturbed steps end in, from a lab of its own. */
let undisturbed: Checkpoint;

beforeEach(async () => {
  const calm = await openLab();
  const calmPlan = await withRows(calm);
  const chunk = { plan: calmPlan.sft.search, checkpoint: base, live: null, toStep: 4 };
  undisturbed = (await calm.call('trainSteps', chunk)).checkpoint;
  await calm.close();
  lab = await openLab();
  plan = await withRows(lab);
});
afterEach(() => lab.close());

/** Rows as linearising would store them; what they say does not matter here. */
async function withRows(of: Lab): Promise<Plan> {
  const made = await of.plan(tinyRun);
  const rows = Array.from({ length: 10 }, (_, i) => ({
    problemId: `p${i}`,
    promptTokens: [1, i],
    completionTokens: [i, 2],
  }));
  await of.store.putLines(artifactNames.rows(made.linearize.key, 'search'), rows as unknown as SftRow[]);
  return made;
}

const train = (change: Partial<TrainStepsInput>, options: CallOptions = {}): Promise<TrainStepsResult> =>
  lab.call('trainSteps', { plan: plan.sft.search, checkpoint: base, live: null, toStep: 4, ...change }, options);

/** A trainer that records its operations and breaks before the given call of one of them. */
function breaking(log: string[], operation?: keyof Trainer, call = 1) {
  const wrap = (name: keyof Trainer, real: (...args: never[]) => unknown) =>
    (async (...args: never[]) => {
      log.push(name);
      if (name === operation && log.filter((entry) => entry === name).length === call) {
        throw new ServiceError('lost', 'the engine restarted', { service: 'trainer' });
      }
      return real(...args);
    }) as never;
  return (real: Trainer): Trainer => ({
    restore: wrap('restore', real.restore),
    step: wrap('step', real.step),
    forward: wrap('forward', real.forward),
    save: wrap('save', real.save),
    saveForSampler: wrap('saveForSampler', real.saveForSampler),
    fetchWeights: wrap('fetchWeights', real.fetchWeights),
    release: wrap('release', real.release),
  });
}

describe('a chunk of optimiser steps', () => {
  it('gives the same checkpoint in one chunk or in many', async () => {
    const first = await train({ toStep: 1 });
    const second = await train({ checkpoint: first.checkpoint, live: first.live, toStep: 3 });
    const third = await train({ checkpoint: second.checkpoint, live: second.live, toStep: 4 });
    expect(third.checkpoint).toEqual(undisturbed);
  });

  it('goes on with the live model it is handed, without restoring', async () => {
    const first = await train({ toStep: 2 });
    const log: string[] = [];
    const continued = { checkpoint: first.checkpoint, live: first.live };
    await train(continued, { doubles: { trainer: breaking(log) } });
    expect(log).toEqual(['step', 'step', 'save', 'forward']);
  });

  it('restores where the live model does not stand at the checkpoint', async () => {
    const first = await train({ toStep: 2 });
    const elsewhere = { ...first.live!, checkpointId: 'another' };
    const log: string[] = [];
    const doubles = { trainer: breaking(log) };
    const { checkpoint } = await train({ checkpoint: first.checkpoint, live: elsewhere }, { doubles });
    expect(log[0]).toBe('restore');
    expect(checkpoint).toEqual(undisturbed);
  });

  it.each([
    ['step', 1],
    ['step', 2],
    ['save', 1],
  ] as const)('killed at %s %i and retried equals undisturbed', async (operation, call) => {
    const first = await train({ toStep: 2 });
    const input = { checkpoint: first.checkpoint, live: first.live };
    const log: string[] = [];
    const doubles = { trainer: breaking(log, operation, call) };
    await expect(train(input, { doubles })).rejects.toMatchObject({ type: 'ServiceLostState' });
    const retry: string[] = [];
    const again = await train(input, { attempt: 2, doubles: { trainer: breaking(retry) } });
    // The model that the dead attempt stepped is taken from it, and never used again.
    expect(retry.slice(0, 2)).toEqual(['release', 'restore']);
    expect(again.checkpoint).toEqual(undisturbed);
  });

  it('does not mind a zombie: the first stored checkpoint counts for both attempts', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const slow = (real: Trainer): Trainer => ({
      ...real,
      // The zombie also saves something else, as a trainer whose sums are not deterministic would.
      save: async (live, name, options, signal) => {
        await held;
        const saved = await real.save(live, name, options, signal);
        return { ...saved, trainerState: `${saved.trainerState}#zombie` };
      },
    });
    const zombie = train({}, { doubles: { trainer: slow } });
    const retry = await train({}, { attempt: 2 });
    release();
    const late = await zombie;
    expect(late.checkpoint).toEqual(retry.checkpoint);
    // Its own model does not stand at that checkpoint, so nobody may go on with it.
    expect(late.live).toBeNull();
    expect(retry.live).not.toBeNull();
  });

  it('is not trained again once its checkpoint is stored', async () => {
    const first = await train({});
    const log: string[] = [];
    const again = await train({}, { attempt: 2, doubles: { trainer: breaking(log) } });
    expect(log).toEqual([]);
    expect(again).toEqual({ ...first, live: null });
  });

  it('keeps the last checkpoint for good and lets the ones between expire', async () => {
    const kept: (number | undefined)[] = [];
    const watching = (real: Trainer): Trainer => ({
      ...real,
      save: (live, name, options, signal) => {
        kept.push(options.ttlSeconds);
        return real.save(live, name, options, signal);
      },
    });
    const doubles = { trainer: watching };
    const first = await train({ toStep: 2 }, { doubles });
    await train({ checkpoint: first.checkpoint, live: first.live }, { doubles });
    expect(kept).toEqual([expect.any(Number), undefined]);
  });

  it.each([
    ['is forgotten when an operator cancels', { cancelRequested: true }, 1],
    ['is left alone when the worker shuts down', { workerShutdown: true }, 0],
  ])('the model it trains %s', async (_name, why, releases) => {
    const environment = mockEnvironment();
    const released: string[] = [];
    const trainer = (real: Trainer): Trainer => ({
      ...real,
      step: (_live, _data, _loss, _adam, signal) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(new Error('socket hang up')));
          environment.cancel('CANCELLED', new ActivityCancellationDetails(why));
        }),
      release: async (live) => void released.push(live.modelId),
    });
    const training = train({}, { environment, doubles: { trainer } });
    await expect(training).rejects.toBeInstanceOf(CancelledFailure);
    expect(released).toHaveLength(releases);
  });

  it('needs the rows, and says which workflow makes them', async () => {
    await expect(train({ plan: plan.sft.direct })).rejects.toMatchObject({
      type: 'MissingInput',
      message: expect.stringContaining('"linearizeCorpus"'),
    });
  });
});

it('a data set without rows ends fine-tuning at once and points to the funnel', async () => {
  await lab.store.putLines(artifactNames.rows(plan.linearize.key, 'direct'), []);
  await expect(train({ plan: plan.sft.direct })).rejects.toMatchObject({
    type: 'MissingInput',
    message: expect.stringContaining('funnel.json'),
  });
});

describe('publishing a checkpoint', () => {
  beforeEach(async () => {
    // The same, and what it is known by is in this store.
    undisturbed = (await train({})).checkpoint;
  });

  const publish = (checkpoint: Checkpoint, options: CallOptions = {}, release = true) =>
    lab.call('publish', { policy: plan.search.policy, checkpoint, live: null, name: 'sft', release }, options);

  it('saves it for the sampler, has that confirmed, and forgets the live model', async () => {
    const log: string[] = [];
    const published = await publish(undisturbed, { doubles: { trainer: breaking(log) } });
    expect(log).toEqual(['restore', 'forward', 'saveForSampler', 'release']);
    expect(published).toEqual({ checkpoint: { ...undisturbed, samplerModel: expect.any(String) }, live: null });
  });

  it('keeps the live model that will be trained further', async () => {
    const { live } = await publish(undisturbed, {}, false);
    expect(live).toMatchObject({ checkpointId: undisturbed.id });
  });

  it('only asks when the sampler has the version already', async () => {
    const { checkpoint } = await publish(undisturbed);
    const log: string[] = [];
    expect(await publish(checkpoint, { doubles: { trainer: breaking(log) } })).toEqual({ checkpoint, live: null });
    expect(log).toEqual([]);
  });

  describe('that the sampler has lost', () => {
    const forgetful = (real: Sampler): Sampler => ({
      ...real,
      confirm: async (model, signal) => {
        if (model === 'gone') throw new ServiceError('lost', 'no such model', { service: 'sampler' });
        return real.confirm(model, signal);
      },
    });

    it('makes it again from the checkpoint', async () => {
      const { checkpoint } = await publish(
        { ...undisturbed, samplerModel: 'gone' },
        { doubles: { sampler: forgetful } },
      );
      expect(checkpoint.samplerModel).toBe((await publish(undisturbed)).checkpoint.samplerModel);
    });

    it('cannot make the base itself again', async () => {
      const base = publish(
        { ...undisturbed, trainerState: null, samplerModel: 'gone' },
        { doubles: { sampler: forgetful } },
      );
      await expect(base).rejects.toMatchObject({ type: 'ServiceLostState' });
    });

    it('has the base served again by a publisher that takes its place', async () => {
      let isServed = false;
      const publisher = (real: Publisher): Publisher => ({
        ...real,
        publishBase: async () => {
          isServed = true;
        },
      });
      const base = { ...undisturbed, trainerState: null, samplerModel: 'gone' };
      const confirmed: string[] = [];
      const sampler = (real: Sampler): Sampler => ({
        ...real,
        async confirm(model, signal) {
          if (!isServed) return forgetful(real).confirm(model, signal);
          confirmed.push(model);
        },
      });
      const published = await publish(base, { doubles: { publisher, sampler } });
      expect(published.checkpoint).toEqual(base);
      expect(confirmed).toEqual(['gone']);
    });
  });
});
