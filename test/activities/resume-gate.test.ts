import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TrainStepsResult } from '../../src/activities/train.ts';
import { artifactNames, type Plan, type RlPlan, type SftPlan } from '../../src/config/plan.ts';
import type { Checkpoint } from '../../src/core/checkpoint.ts';
import type { ForwardPass } from '../../src/core/resume-gate.ts';
import type { ArtifactStore } from '../../src/services/store/store.ts';
import type { LiveModel, Trainer } from '../../src/services/trainer/trainer.ts';
import { type Lab, openLab } from '../support/lab.ts';
import { type BadRestore, type LiveTrainer, liveTrainer } from '../support/live-trainer.ts';
import { memoryStore } from '../support/memory-store.ts';
import { tinyRun } from '../support/pipeline.ts';

const base: Checkpoint = { id: 'base', step: 0, base: 'scripted-base', trainerState: null };

let lab: Lab;
let plan: Plan;
let sft: SftPlan;
beforeAll(async () => {
  lab = await openLab();
  plan = await lab.plan(tinyRun);
  sft = { ...plan.sft.search, params: { ...plan.sft.search.params, steps: 6 } };
});
afterAll(() => lab.close());

let content: Map<string, string>;
let store: ReturnType<typeof memoryStore>;
let trainer: LiveTrainer;
let badRestore: BadRestore;
beforeEach(async () => {
  content = new Map();
  store = memoryStore(content);
  badRestore = null;
  // Its own forward pass is seen at work below; without it, the passes of training are all there is.
  trainer = liveTrainer({ badRestore: () => badRestore, onlyTrains: true });
  await store.putLines(artifactNames.rows(plan.linearize.key, 'search'), rowsFrom(0));
});

const rowsFrom = (first: number) =>
  Array.from({ length: 10 }, (_, i) => ({ promptTokens: [1, first + i], completionTokens: [i, 2] }));

interface Start {
  checkpoint: Checkpoint;
  live: LiveModel | null;
}

const chunk = (
  from: Start,
  toStep: number,
  attempt = 1,
  wrap: (real: Trainer) => Trainer = (real) => real,
  of = sft,
): Promise<TrainStepsResult> =>
  lab.call(
    'trainSteps',
    { plan: of, ...from, toStep },
    { attempt, doubles: { trainer: () => wrap(trainer), store: () => store } },
  );

/** Killed before the chunk's checkpoint is saved, all of its passes made. */
const killedAtSave = (real: Trainer): Trainer => ({
  ...real,
  save: () => Promise.reject(new Error('killed')),
});

const recorded = async (of: ArtifactStore, name: string) => {
  const ref = await of.find(name);
  return ref === null ? null : of.getJson<ForwardPass>(ref);
};

describe('a chunk after a checkpoint', () => {
  let start: TrainStepsResult;
  beforeEach(async () => {
    start = await chunk({ checkpoint: base, live: null }, 2);
    await expect(chunk(start, 4, 1, killedAtSave)).rejects.toThrow('killed');
  });

  it('leaves a record of its first two passes, made by the live model that went on', async () => {
    const first = await recorded(store, artifactNames.sftPass(sft.key, 2, 0));
    expect(first).toMatchObject({
      checkpoint: start.checkpoint.id,
      trainerState: start.checkpoint.trainerState,
      targets: 8,
      logprobs: expect.arrayContaining([expect.any(Number)]),
    });
    const second = await recorded(store, artifactNames.sftPass(sft.key, 2, 1));
    expect(second?.logprobs).not.toEqual(first?.logprobs);
  });

  it('goes on after an exact restore', async () => {
    const { checkpoint } = await chunk(start, 4, 2);
    expect(checkpoint.step).toBe(4);
  });

  it('stops where other weights came back, and says which checkpoint, gap and bound', async () => {
    badRestore = 'base weights';
    await expect(chunk(start, 4, 2)).rejects.toMatchObject({
      type: 'ResumeMismatch',
      nonRetryable: true,
      message: expect.stringMatching(/step-2 .*differ from the recorded ones by .*more than 0\.01.*maxLogprobGap/),
    });
    expect(await store.find(artifactNames.sftStep(sft.key, 4))).toBeNull();
  });

  it('stops where the optimiser came back fresh: its weights are right, those after one step are not', async () => {
    badRestore = 'fresh optimiser';
    let steps = 0;
    const counting = (real: Trainer): Trainer => ({
      ...real,
      step: (...args) => {
        steps += 1;
        return real.step(...args);
      },
    });
    await expect(chunk(start, 4, 2, counting)).rejects.toMatchObject({ type: 'ResumeMismatch' });
    expect(steps).toBe(2);
  });

  it('stops in a later run just as in a retry', async () => {
    badRestore = 'base weights';
    const later = { checkpoint: start.checkpoint, live: null };
    await expect(chunk(later, 4)).rejects.toMatchObject({ type: 'ResumeMismatch' });
  });

  it('stops where the batch is another one', async () => {
    const other = memoryStore();
    for (const pass of [0, 1]) {
      const name = artifactNames.sftPass(sft.key, 2, pass);
      await other.putJson(name, await recorded(store, name));
    }
    await other.putLines(artifactNames.rows(plan.linearize.key, 'search'), rowsFrom(20));
    store = other;
    await expect(chunk(start, 4, 2)).rejects.toMatchObject({
      type: 'ResumeMismatch',
      message: expect.stringContaining('skipped or doubled'),
    });
  });

  it('has bounds that a configuration moves, and our default where a plan has none', async () => {
    badRestore = 'base weights';
    const { resume: _resume, ...older } = sft;
    const same = (real: Trainer) => real;
    await expect(chunk(start, 4, 2, same, older)).rejects.toMatchObject({ type: 'ResumeMismatch' });
    const lenient: SftPlan = { ...sft, resume: { maxLogprobGap: 100, maxTokenGap: 100 } };
    expect((await chunk(start, 4, 3, same, lenient)).checkpoint.step).toBe(4);
  });

  it('does not let a broken restore define what is right: it cannot replace the record', async () => {
    const name = artifactNames.sftPass(sft.key, 2, 0);
    const before = await recorded(store, name);
    badRestore = 'base weights';
    await expect(chunk(start, 4, 2)).rejects.toMatchObject({ type: 'ResumeMismatch' });
    expect(await recorded(store, name)).toEqual(before);
    badRestore = null;
    expect((await chunk(start, 4, 3)).checkpoint.step).toBe(4);
  });

  it('ends at once where the checkpoint has expired, and says what to do', async () => {
    trainer.expire(start.checkpoint);
    await expect(chunk(start, 4, 2)).rejects.toMatchObject({
      type: 'CheckpointLost',
      nonRetryable: true,
      message: expect.stringMatching(/step-2 is gone .*14 days.*"An expired checkpoint"/),
    });
  });
});

describe('a checkpoint of a trainer with a forward pass of its own', () => {
  let start: TrainStepsResult;
  beforeEach(async () => {
    trainer = liveTrainer({ badRestore: () => badRestore });
    start = await chunk({ checkpoint: base, live: null }, 2);
  });

  it('comes with a probe, so that a restore is checked though nobody has trained on', async () => {
    badRestore = 'base weights';
    await expect(chunk(start, 4, 2)).rejects.toMatchObject({
      type: 'ResumeMismatch',
      message: expect.stringMatching(/step-2 .*differ from the recorded ones by .*probe-/),
    });
    expect(store.names().filter((name) => name.includes('/pass-00002'))).toEqual([]);
    badRestore = null;
    expect((await chunk(start, 4, 3)).checkpoint.step).toBe(4);
  });

  it('is checked before it is published, by the bounds of the run', async () => {
    const publish = (resume?: SftPlan['resume']) =>
      lab.call(
        'publish',
        { policy: sft.policy, checkpoint: start.checkpoint, live: null, name: 'sft', release: true, resume },
        { doubles: { trainer: () => trainer, store: () => store } },
      );
    badRestore = 'base weights';
    await expect(publish()).rejects.toMatchObject({ type: 'ResumeMismatch' });
    expect((await publish({ maxLogprobGap: 100, maxTokenGap: 100 })).checkpoint.samplerModel).toBeDefined();
  });
});

describe('the first chunk of a stage', () => {
  it('is recorded by its first pass only: optimiser and adapter are new, whoever makes them', async () => {
    await chunk({ checkpoint: base, live: null }, 2);
    const passes = store.names().filter((name) => name.includes('/pass-'));
    expect(passes).toEqual([artifactNames.sftPass(sft.key, 0, 0)]);
  });
});

describe('an update of RL', () => {
  const update = async (rl: RlPlan, iteration: number, from: Start, attempt = 1, wrap = (real: Trainer) => real) =>
    lab.call(
      'updatePolicy',
      { plan: rl, iteration, rollouts: await answers(rl, iteration), ...from },
      { attempt, doubles: { trainer: () => wrap(trainer), store: () => store } },
    );

  const answers = (rl: RlPlan, iteration: number) =>
    store.putLines(
      artifactNames.rollouts(rl.key, iteration),
      Array.from({ length: 16 }, (_, i) => ({
        group: Math.floor(i / 4),
        promptTokens: [1, iteration],
        completionTokens: [i, 2],
        samplerLogprobs: [-1, -1],
        text: '',
        reward: i % 2 === 0 ? 1 : -1,
        verdict: { correct: i % 2 === 0, reason: '' },
        truncated: false,
        callId: `call-${iteration}`,
      })),
    );

  it.each<[number, BadRestore, string]>([
    [1, 'base weights', 'a trainer that only trains'],
    [2, 'base weights', 'a trainer that only trains'],
    [2, 'fresh optimiser', 'a trainer that only trains'],
    [1, 'base weights', 'a trainer with forward passes'],
    [2, 'fresh optimiser', 'a trainer with forward passes'],
  ])('of %i steps stops after a restore with %s by %s', async (stepsPerIteration, bad, kind) => {
    trainer = liveTrainer({ badRestore: () => badRestore, onlyTrains: kind.includes('only') });
    const rl: RlPlan = { ...plan.rl.search, params: { ...plan.rl.search.params, stepsPerIteration } };
    const first = await update(rl, 0, { checkpoint: base, live: null });
    await expect(update(rl, 1, first, 1, killedAtSave)).rejects.toThrow('killed');
    badRestore = bad;
    await expect(update(rl, 1, first, 2)).rejects.toMatchObject({ type: 'ResumeMismatch', nonRetryable: true });
    badRestore = null;
    expect((await update(rl, 1, first, 3)).checkpoint.step).toBe(2 * stepsPerIteration);
  });

  it('begins at the checkpoint of another stage with a fresh optimiser, by the probe that came with it', async () => {
    trainer = liveTrainer({ badRestore: () => badRestore });
    const tuned = await chunk({ checkpoint: base, live: null }, 2);
    // As `prepareRl` hands it on: a step count of its own.
    const from = { checkpoint: { ...tuned.checkpoint, step: 0 }, live: null };
    badRestore = 'base weights';
    await expect(update(plan.rl.search, 0, from)).rejects.toMatchObject({
      type: 'ResumeMismatch',
      message: expect.stringContaining('probe-'),
    });
    badRestore = null;
    expect((await update(plan.rl.search, 0, from, 2)).checkpoint.step).toBe(1);
  });

  it('goes on from an earlier checkpoint where the last one expired, on the answers that are there', async () => {
    const rl = plan.rl.search;
    const first = await update(rl, 0, { checkpoint: base, live: null });
    trainer.expire(first.checkpoint);
    await expect(update(rl, 1, { checkpoint: first.checkpoint, live: null })).rejects.toMatchObject({
      type: 'CheckpointLost',
    });

    // As the manual says: what came after the last kept checkpoint is moved away, and the stage starts again.
    content.delete(artifactNames.update(rl.key, 0));
    content.delete(artifactNames.rlPass(rl.key, 0, 0));
    const before = store.names().filter((name) => name.includes('rollouts'));
    const again = await update(rl, 0, { checkpoint: base, live: null });
    expect((await update(rl, 1, again)).checkpoint.step).toBe(2);
    expect(store.names().filter((name) => name.includes('rollouts'))).toEqual(before);
  });
});
