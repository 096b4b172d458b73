import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RlIteration, RolloutRecord } from '../../../src/core/records.ts';
import { epochBatch } from '../../../src/core/rl/epochs.ts';
import { checkGuards } from '../../../src/core/rl/guards.ts';
import { summarizeIteration } from '../../../src/core/rl/iteration.ts';
import { linearSchedule } from '../../../src/core/rl/schedule.ts';
import { sftData } from '../../../src/core/rl/sft-data.ts';

describe('learning-rate schedule', () => {
  const options = { steps: 300, warmupSteps: 50, learningRate: 1e-3, finalFraction: 0.1 };

  it('warms up, then decays linearly towards the final fraction, and is never zero', () => {
    expect(linearSchedule(0, options)).toBeCloseTo(1e-3 / 50, 12);
    expect(linearSchedule(49, options)).toBeCloseTo(1e-3 * (0.1 + 0.9 * (251 / 300)), 12);
    expect(linearSchedule(299, options)).toBeCloseTo(1e-3 * (0.1 + 0.9 / 300), 12);
    expect(linearSchedule(300, options)).toBeCloseTo(1e-4, 12);
  });

  it('has no warm-up when there are no warm-up steps', () => {
    expect(linearSchedule(0, { ...options, warmupSteps: 0 })).toBe(1e-3);
  });
});

describe('fine-tuning batches', () => {
  it('go through every row once an epoch, whatever the batch size', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 50 }), fc.nat(), (n, batchSize, seed) => {
        const rows = Array.from({ length: n }, (_, i) => i);
        const stream = Array.from({ length: n }, (_, step) => epochBatch(rows, seed, step, batchSize)).flat();
        expect(stream).toHaveLength(n * batchSize);
        for (let epoch = 0; epoch < batchSize; epoch++) {
          const seen = stream.slice(epoch * n, (epoch + 1) * n);
          expect(seen.toSorted((a, b) => a - b)).toEqual(rows);
        }
      }),
    );
  });

  it('are a pure function of seed and step, and differ between epochs and seeds', () => {
    const rows = Array.from({ length: 64 }, (_, i) => i);
    expect(epochBatch(rows, 1, 3, 16)).toEqual(epochBatch(rows, 1, 3, 16));
    expect(epochBatch(rows, 1, 0, 64)).not.toEqual(epochBatch(rows, 1, 1, 64));
    expect(epochBatch(rows, 1, 0, 64)).not.toEqual(epochBatch(rows, 2, 0, 64));
  });

  it('refuse an empty data set', () => {
    expect(() => epochBatch([], 1, 0, 4)).toThrow(/nothing to train on/);
  });
});

describe('fine-tuning data', () => {
  const rows = [
    { promptTokens: [1, 2, 3], completionTokens: [4, 9] },
    { promptTokens: [1, 2], completionTokens: [5, 6, 9] },
  ];

  it('weigh completion tokens so that the summed loss is the mean over them', () => {
    expect(sftData(rows, { trainOnPrompt: false })).toEqual([
      { tokens: [1, 2, 3, 4, 9], weights: [0, 0, 0, 0.2, 0.2] },
      { tokens: [1, 2, 5, 6, 9], weights: [0, 0, 0.2, 0.2, 0.2] },
    ]);
  });

  it('include the prompt on request, but never the first token, which nothing predicts', () => {
    expect(sftData(rows, { trainOnPrompt: true }).map((datum) => datum.weights)).toEqual([
      [0, 1 / 8, 1 / 8, 1 / 8, 1 / 8],
      [0, 1 / 8, 1 / 8, 1 / 8, 1 / 8],
    ]);
    expect(sftData([{ promptTokens: [], completionTokens: [4, 9] }], { trainOnPrompt: false })[0]?.weights).toEqual([
      0, 1,
    ]);
  });

  it('sum to one over a batch', () => {
    const row = fc.record({
      promptTokens: fc.array(fc.nat(9), { maxLength: 5 }),
      completionTokens: fc.array(fc.nat(9), { minLength: 2, maxLength: 9 }),
    });
    fc.assert(
      fc.property(fc.array(row, { minLength: 1 }), fc.boolean(), (batch, trainOnPrompt) => {
        const total = sftData(batch, { trainOnPrompt }).flatMap((datum) => datum.weights);
        expect(total.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 9);
      }),
    );
  });
});

const iteration = (number: number, changes: Partial<RlIteration> = {}): RlIteration => ({
  iteration: number,
  meanReward: -0.2,
  passRate: 0.4,
  meanTokens: 100,
  truncated: 0.1,
  backtracksPerAnswer: 2,
  zeroVarianceGroups: 1,
  groups: 4,
  entropy: 0.3,
  logprobGap: 0.001,
  loss: 0.1,
  policyVersion: 'v',
  ...changes,
});

describe('collapse guards', () => {
  const limits = { rewardDrop: 0.6, maxLogprobGap: 0.5, minEntropy: 0.01 };
  const run = (rewards: number[]) => rewards.map((meanReward, i) => iteration(i, { meanReward }));

  it('let a healthy run go on, and one that has not begun', () => {
    expect(checkGuards([], limits)).toEqual({ ok: true });
    expect(checkGuards(run(new Array(30).fill(-0.2)), limits)).toEqual({ ok: true });
    expect(checkGuards([iteration(0, { loss: null, logprobGap: null })], limits)).toEqual({ ok: true });
  });

  it('stop when the reward of ten iterations falls too far below the first ten, not for one bad iteration', () => {
    const good = new Array(10).fill(0.2);
    expect(checkGuards(run([...good, ...good, -1]), limits)).toEqual({ ok: true });
    expect(checkGuards(run([...good, ...new Array(10).fill(-0.5)]), limits)).toMatchObject({ ok: false });
  });

  it('stop on a log-probability gap, on lost entropy and on a loss that is no number, and say which', () => {
    expect(checkGuards([iteration(3, { logprobGap: 0.9 })], limits)).toMatchObject({
      reason: expect.stringMatching(/iteration 3.*maxLogprobGap/),
    });
    expect(checkGuards([iteration(3, { logprobGap: Number.NaN })], limits)).toMatchObject({ ok: false });
    expect(checkGuards([iteration(3, { entropy: 0.001 })], limits)).toMatchObject({
      reason: expect.stringMatching(/minEntropy/),
    });
    expect(checkGuards([iteration(3, { loss: Number.NaN })], limits)).toMatchObject({
      reason: expect.stringMatching(/loss is NaN/),
    });
  });
});

describe('summary of an iteration', () => {
  const rollout = (group: number, reward: number, changes: Partial<RolloutRecord> = {}): RolloutRecord => ({
    schema: 'astroflow.rollout/1',
    arm: 'search',
    iteration: 5,
    problemId: `p${group}`,
    family: 'f',
    group,
    sample: 0,
    promptTokens: [1],
    completionTokens: [2, 3],
    samplerLogprobs: [-0.5, -0.5],
    text: 'Wait, no. Wait, yes',
    policyVersion: 'v5',
    sampling: { temperature: 1, maxTokens: 8, seed: 1 },
    reward,
    verdict: { correct: reward > 0, reason: '' },
    graderVersion: 1,
    truncated: false,
    callId: 'c',
    attempt: 1,
    ...changes,
  });
  const update = { loss: 0.2, logprobGap: 0.01, policyVersion: 'v5' };

  it('counts what the answers did', () => {
    const rollouts = [
      rollout(0, 1),
      rollout(0, -1, {
        text: 'no',
        truncated: true,
        completionTokens: [2, 3, 4, 5],
        samplerLogprobs: [-1, -1, -1, -1],
      }),
      rollout(1, -1),
      rollout(1, -1),
    ];
    expect(summarizeIteration(5, rollouts, { backtrackMarker: 'Wait' }, update)).toEqual({
      iteration: 5,
      meanReward: -0.5,
      passRate: 0.25,
      meanTokens: 2.5,
      truncated: 0.25,
      backtracksPerAnswer: 1.5,
      zeroVarianceGroups: 1,
      groups: 2,
      entropy: 0.7,
      ...update,
    });
  });
});
