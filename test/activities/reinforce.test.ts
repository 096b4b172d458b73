import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { artifactNames, type Plan, type RlPlan } from '../../src/config/plan.ts';
import type { ArtifactRef } from '../../src/core/artifact.ts';
import type { Checkpoint } from '../../src/core/checkpoint.ts';
import type { Problem } from '../../src/core/problem.ts';
import type { RolloutRecord } from '../../src/core/records.ts';
import { ServiceError } from '../../src/services/errors.ts';
import type { Sampler } from '../../src/services/sampler/sampler.ts';
import type { Trainer } from '../../src/services/trainer/trainer.ts';
import { type CallOptions, fineTuneArm, type Lab, linearizeAll, openLab, searchAll } from '../support/lab.ts';
import { tinyRun } from '../support/pipeline.ts';
import { recordedMetrics } from '../support/recorded-metrics.ts';

let lab: Lab;
let plan: Plan;
let checkpoint: Checkpoint;
let prompts: ArtifactRef;

beforeAll(async () => {
  lab = await openLab();
  plan = await lab.plan(tinyRun);
  await searchAll(lab, plan);
  await linearizeAll(lab, plan);
  await fineTuneArm(lab, plan, 'search');
  ({ checkpoint, prompts } = await lab.call('prepareRl', { plan: plan.rl.search }));
});
afterAll(() => lab.close());

const withParams = (params: Partial<RlPlan['params']>, key: string): RlPlan => ({
  ...plan.rl.search,
  key,
  params: { ...plan.rl.search.params, ...params },
});

const rollout = (options: CallOptions = {}, rl = plan.rl.search, iteration = 0) =>
  lab.call('rollout', { plan: rl, iteration, prompts, checkpoint }, options);

describe('the prompts of RL', () => {
  it('are the searched problems, and the arm starts at its own fine-tuned checkpoint', async () => {
    expect(prompts.count).toBe(12);
    expect(checkpoint).toMatchObject({ step: 0, samplerModel: expect.stringContaining('search-') });
  });

  it('are those inside the difficulty band', async () => {
    const banded = withParams({ difficulty: { low: 0.2, high: 0.6 } }, 'banded');
    const start = await lab.call('prepareRl', { plan: banded });
    expect(start.prompts.count).toBeGreaterThan(0);
    expect(start.prompts.count).toBeLessThan(12);
    const impossible = withParams({ difficulty: { low: 0.999, high: 0.9991 } }, 'impossible');
    await expect(lab.call('prepareRl', { plan: impossible })).rejects.toMatchObject({
      type: 'MissingInput',
      message: expect.stringContaining('rl.difficulty'),
    });
  });

  it('can be a set of their own', async () => {
    const own = await lab.plan({ ...tinyRun, rl: { ...tinyRun.rl, prompts: { split: 'train', count: 5 } } });
    const start = await lab.call('prepareRl', { plan: { ...own.rl.search, sftKey: plan.rl.search.sftKey } });
    expect(await lab.store.getLines<Problem>(start.prompts)).toHaveLength(5);
  });

  it('say which workflow must run first', async () => {
    await expect(lab.call('prepareRl', { plan: plan.rl.direct })).rejects.toMatchObject({
      type: 'MissingInput',
      message: expect.stringContaining('"fineTune"'),
    });
  });

  it('come with the tokens of the arm to match', async () => {
    const rl: RlPlan = { ...plan.rl.search, key: 'matching', matchTokensOfKey: 'other' };
    await expect(lab.call('prepareRl', { plan: rl })).rejects.toThrow('"reinforce"');
    const usage = { calls: 1, promptTokens: 2, completionTokens: 345 };
    await lab.store.putJson(artifactNames.result('rl', 'other'), { usage });
    expect((await lab.call('prepareRl', { plan: rl })).tokenBudget).toBe(345);
  });
});

describe('one iteration’s answers', () => {
  it('are records with all that a later method could ask of them', async () => {
    const { ref, usage } = await rollout();
    const records = await lab.store.getLines<RolloutRecord>(ref);
    expect(records).toHaveLength(4 * 4);
    for (const record of records) {
      expect(record.samplerLogprobs).toHaveLength(record.completionTokens.length);
      expect(record.promptTokens.length).toBeGreaterThan(0);
      expect(record).toMatchObject({
        schema: 'astroflow.rollout/1',
        arm: 'search',
        iteration: 0,
        policyVersion: checkpoint.samplerModel,
        sampling: { temperature: 1, maxTokens: 96, seed: expect.any(Number) },
        graderVersion: expect.any(Number),
        callId: `rl/${plan.rl.search.key}/iter-0/0`,
        attempt: 1,
      });
    }
    expect(records.map((record) => [record.group, record.sample])).toEqual(
      [0, 1, 2, 3].flatMap((group) => [0, 1, 2, 3].map((sample) => [group, sample])),
    );
    expect(usage).toMatchObject({
      calls: 1,
      completionTokens: records.reduce((sum, record) => sum + record.completionTokens.length, 0),
    });
  });

  it('are not sampled again once stored', async () => {
    const first = await rollout();
    const deaf = (real: Sampler): Sampler => ({ ...real, sample: () => Promise.reject(new Error('asked again')) });
    expect(await rollout({ attempt: 2, doubles: { sampler: deaf } })).toEqual(first);
  });

  it('differ from iteration to iteration', async () => {
    const texts = async (iteration: number) =>
      (await lab.store.getLines<RolloutRecord>((await rollout({}, plan.rl.search, iteration)).ref)).map((r) => r.text);
    expect(await texts(0)).not.toEqual(await texts(1));
  });

  it('are not stored where the sampler gives no log-probabilities: nothing could be trained on them', async () => {
    const bare = (real: Sampler): Sampler => ({
      ...real,
      sample: async (request, signal) => real.sample({ ...request, logprobs: false }, signal),
    });
    const rl = withParams({}, 'bare');
    await expect(rollout({ doubles: { sampler: bare } }, rl)).rejects.toMatchObject({
      type: 'ServiceRefused',
      nonRetryable: true,
      message: expect.stringMatching(/has 0 log-probabilities for \d+ tokens/),
    });
    expect(await lab.store.find(artifactNames.rollouts('bare', 0))).toBeNull();
  });

  it('need a published checkpoint', async () => {
    const { samplerModel: _samplerModel, ...unpublished } = checkpoint;
    const asked = lab.call('rollout', { plan: plan.rl.search, iteration: 7, prompts, checkpoint: unpublished });
    await expect(asked).rejects.toMatchObject({ type: 'MissingInput' });
  });
});

describe('one update', () => {
  const update = async (rl: RlPlan, options: CallOptions = {}, iteration = 0) => {
    const { ref } = await rollout({}, rl, iteration);
    return lab.call('updatePolicy', { plan: rl, iteration, rollouts: ref, checkpoint, live: null }, options);
  };

  it('moves the checkpoint and says what the answers were like', async () => {
    const { checkpoint: next, summary } = await update(plan.rl.search);
    expect(next.step).toBe(1);
    expect(next.trainerState).not.toBe(checkpoint.trainerState);
    expect(next.samplerModel).toBeUndefined();
    expect(summary).toMatchObject({ iteration: 0, groups: 4, policyVersion: checkpoint.samplerModel, logprobGap: 0 });
  });

  it('killed in the middle and retried equals undisturbed', async () => {
    const two = withParams({ stepsPerIteration: 2 }, 'two-steps');
    let steps = 0;
    const breaking = (real: Trainer): Trainer => ({
      ...real,
      step: (...args) => {
        steps += 1;
        if (steps === 2) throw new ServiceError('retryable', 'gone', { service: 'trainer' });
        return real.step(...args);
      },
    });
    await expect(update(two, { doubles: { trainer: breaking } })).rejects.toMatchObject({ type: 'ServiceUnavailable' });
    const retried = await update(two, { attempt: 2 });
    expect(retried.checkpoint.step).toBe(2);

    const calm = await openLab();
    try {
      const { ref } = await rollout({}, two);
      const records = await lab.store.getLines<RolloutRecord>(ref);
      const same = await calm.store.putLines(ref.uri, records);
      const probe = checkpoint.probe!;
      await calm.store.putJson(probe.uri, await lab.store.getJson(probe));
      const input = { plan: two, iteration: 0, rollouts: same, checkpoint, live: null };
      expect((await calm.call('updatePolicy', input)).checkpoint).toEqual(retried.checkpoint);
    } finally {
      await calm.close();
    }
  });

  it('is not trained again once stored', async () => {
    const first = await update(plan.rl.search);
    const broken = (real: Trainer): Trainer => ({ ...real, step: () => Promise.reject(new Error('stepped again')) });
    const again = await update(plan.rl.search, { attempt: 2, doubles: { trainer: broken } });
    expect(again).toEqual({ ...first, live: null });
  });

  it('is where a later run begins: behind the iterations that are stored', async () => {
    const rl = withParams({ iterations: 5 }, 'resumed');
    const first = await update(rl, {}, 0);
    const { ref } = await rollout({}, rl, 1);
    const input = { plan: rl, iteration: 1, rollouts: ref, checkpoint: first.checkpoint, live: null };
    const second = await lab.call('updatePolicy', input);
    const start = await lab.call('prepareRl', { plan: rl });
    expect(start).toMatchObject({ iteration: 2, checkpoint: second.checkpoint, usage: { calls: 2 } });
    expect(start.history).toEqual([first.summary, second.summary]);
    expect(start.usage.completionTokens).toBe(first.usage.completionTokens + second.usage.completionTokens);
  });

  it('trains on nothing when every group is uniform, and says so', async () => {
    const rl = withParams({}, 'uniform');
    const { ref } = await rollout({}, rl);
    const records = await lab.store.getLines<RolloutRecord>(ref);
    const rollouts = await lab.store.putLines(
      'rl/uniform/same.jsonl',
      records.map((record) => ({ ...record, reward: 1 })),
    );
    const input = { plan: rl, iteration: 0, rollouts, checkpoint, live: null };
    const { checkpoint: next, summary } = await lab.call('updatePolicy', input);
    expect(summary).toMatchObject({ zeroVarianceGroups: 4, loss: null, logprobGap: null });
    expect(next.step).toBe(0);
  });

  it('is refused for good on answers without log-probabilities, naming their file', async () => {
    const rl = withParams({}, 'without-logprobs');
    const { ref } = await rollout({}, rl);
    const records = await lab.store.getLines<RolloutRecord>(ref);
    const bare = records.map((record) => ({ ...record, samplerLogprobs: [] }));
    const rollouts = await lab.store.putLines('rl/without-logprobs/bare.jsonl', bare);
    const input = { plan: rl, iteration: 0, rollouts, checkpoint, live: null };
    await expect(lab.call('updatePolicy', input)).rejects.toMatchObject({
      type: 'ServiceRefused',
      nonRetryable: true,
      message: expect.stringContaining('bare.jsonl'),
    });
  });

  it('starts with a fresh optimiser and keeps it afterwards', async () => {
    const asked: boolean[] = [];
    const watching = (real: Trainer): Trainer => ({
      ...real,
      restore: (point, options, signal) => {
        asked.push(options.optimizer);
        return real.restore(point, options, signal);
      },
    });
    const rl = withParams({}, 'optimiser');
    await update(rl, { doubles: { trainer: watching } }, 0);
    await update(rl, { doubles: { trainer: watching } }, 1);
    expect(asked).toEqual([false, true]);
  });
});

describe('the metrics of an update', () => {
  it('tell how many versions ago its answers were sampled', async () => {
    const rl = withParams({ iterations: 3 }, 'lagging');
    const { policy } = rl;
    let trained = (await lab.call('publish', { policy, checkpoint, live: null, name: 'lag', release: true }))
      .checkpoint;
    const lags: number[] = [];
    for (let iteration = 0; iteration < 3; iteration++) {
      // Always of the version that the arm began with, as from a sampler that never takes a new one.
      const { ref } = await lab.call('rollout', { plan: rl, iteration, prompts, checkpoint });
      const { meter, recorded } = recordedMetrics();
      const environment = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR'), metricMeter: meter });
      const input = { plan: rl, iteration, rollouts: ref, checkpoint: trained, live: null };
      const update = await lab.call('updatePolicy', input, { environment });
      lags.push(recorded.find(({ name }) => name === 'astroflow_rl_policy_lag')?.value ?? Number.NaN);
      const name = `lag-${iteration}`;
      trained = (await lab.call('publish', { policy, checkpoint: update.checkpoint, live: null, name, release: true }))
        .checkpoint;
    }
    expect(lags).toEqual([0, 1, 2]);
  });
});
