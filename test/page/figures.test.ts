import { afterAll, beforeAll, expect, it } from 'vitest';
import { artifactNames, type Plan } from '../../src/config/plan.ts';
import type { RlIteration } from '../../src/core/records.ts';
import { createFigures } from '../../src/page/figures.ts';
import { type Lab, linearizeAll, openLab, searchAll } from '../support/lab.ts';
import { tinyRun } from '../support/pipeline.ts';

let lab: Lab;
let plan: Plan;
beforeAll(async () => {
  lab = await openLab();
  plan = await lab.plan({
    ...tinyRun,
    run: 'lab',
    search: { ...tinyRun.search, problems: { split: 'train', count: 4 } },
  });
}, 30_000);
afterAll(() => lab?.close());

const iteration = (number: number): RlIteration => ({
  iteration: number,
  meanReward: 0.1 * number,
  passRate: 0.5,
  meanTokens: 40,
  truncated: 0,
  backtracksPerAnswer: 1,
  zeroVarianceGroups: 1,
  groups: 4,
  entropy: 0.5,
  logprobGap: 0,
  loss: 0.1,
  policyVersion: 'x',
});

it('draws what a running run has numbers for, more as it comes, and nothing twice', async () => {
  const figures = createFigures(lab.store);
  const drawn = async () => (await figures(plan)).markup;
  expect(await drawn()).toContain('Nothing to draw yet');

  await searchAll(lab, plan);
  const funnel = await lab
    .call('storeResult', {
      name: artifactNames.result('linearize', plan.linearize.key),
      result: {
        schema: 'astroflow.stage-result/1',
        stage: 'linearize',
        key: plan.linearize.key,
        startedAtMs: 0,
        endedAtMs: 1,
        usage: { calls: 0, promptTokens: 0, completionTokens: 0 },
        funnel: await linearizeAll(lab, plan),
      },
    })
    .then(drawn);
  expect(funnel).toContain('id="funnel"');
  expect(funnel).not.toContain('id="rl-reward"');

  const { key } = plan.rl.search;
  await lab.store.putJson(artifactNames.update(key, 0), { summary: iteration(0) });
  const first = await drawn();
  expect(first).toContain('id="rl-reward"');
  const again = await figures(plan);
  expect(await figures(plan)).toBe(again);
  await lab.store.putJson(artifactNames.update(key, 1), { summary: iteration(1) });
  expect(await figures(plan)).not.toBe(again);
  expect(await drawn()).toContain('2 iterations');

  for (let problem = 0; problem < 6; problem += 4) {
    for (const entry of plan.evaluate.checkpoints.slice(0, 1)) {
      const benchmark = plan.evaluate.benchmarks[0]!;
      const checkpoint = {
        id: 'base',
        step: 0,
        base: 'scripted-base',
        trainerState: null,
        samplerModel: 'scripted-base',
      };
      await lab.call('evaluateChunk', { plan: plan.evaluate, entry, checkpoint, benchmark, first: problem });
    }
  }
  const scored = await drawn();
  expect(scored).toContain('id="scores"');
  expect(scored).toContain(`scores of ${plan.evaluate.checkpoints[1]!.name} on new-numbers`);
}, 30_000);
