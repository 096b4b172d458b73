import { artifactNames, type Plan } from '../../src/config/plan.ts';
import type { RunConfigInput } from '../../src/config/schema.ts';
import { fineTuneArm, type Lab, linearizeAll, openLab, searchAll } from './lab.ts';
import { tinyRun } from './pipeline.ts';

export interface TrainedRun {
  lab: Lab;
  plan: Plan;
}

/** A run of scripted services whose search arm has finished, and whose direct arm waits for its RL. */
export async function openTrainedRun(config: RunConfigInput = tinyRun): Promise<TrainedRun> {
  const lab = await openLab();
  const plan = await lab.plan(config);
  await searchAll(lab, plan);
  await linearizeAll(lab, plan);
  for (const arm of plan.arms) await fineTuneArm(lab, plan, arm);
  await reinforceSearch(lab, plan);
  return { lab, plan };
}

async function reinforceSearch(lab: Lab, { rl: { search: plan } }: Plan): Promise<void> {
  const start = await lab.call('prepareRl', { plan });
  const { prompts } = start;
  let { checkpoint } = start;
  for (let iteration = 0; iteration < plan.params.iterations; iteration++) {
    const published = await lab.call('publish', {
      policy: plan.policy,
      checkpoint,
      live: null,
      name: `rl-${iteration}`,
      release: true,
    });
    const { ref } = await lab.call('rollout', { plan, iteration, prompts, checkpoint: published.checkpoint });
    const update = { plan, iteration, rollouts: ref, checkpoint: published.checkpoint, live: null };
    checkpoint = (await lab.call('updatePolicy', update)).checkpoint;
  }
  const usage = { calls: 0, promptTokens: 0, completionTokens: 0 };
  const frame = { schema: 'astroflow.stage-result/1' as const, startedAtMs: 0, endedAtMs: 2000 };
  await lab.call('storeResult', {
    name: artifactNames.result('rl', plan.key),
    result: {
      ...frame,
      stage: 'rl',
      arm: 'search',
      key: plan.key,
      usage,
      checkpoint,
      iterations: plan.params.iterations,
    },
  });
}
