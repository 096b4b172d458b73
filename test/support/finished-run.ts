import { artifactNames, type Plan } from '../../src/config/plan.ts';
import type { Arm, RunConfigInput } from '../../src/config/schema.ts';
import type { Checkpoint } from '../../src/core/checkpoint.ts';
import { addUsage, noUsage, type Usage } from '../../src/core/usage.ts';
import type { LiveModel } from '../../src/services/trainer/trainer.ts';
import { fineTuneArm, type Lab, linearizeAll, searchAll } from './lab.ts';
import { tinyRun } from './pipeline.ts';

/** One arm with RL, small enough to be made in a unit test. */
export const smallRun = {
  ...tinyRun,
  arms: ['search'],
  search: { problems: { split: 'train', count: 8 }, rounds: 2 },
  sft: { search: { steps: 2, batchSize: 4, warmupSteps: 1 } },
  rl: { search: { iterations: 2, promptsPerIteration: 6, groupSize: 4, maxTokens: 96 } },
} satisfies RunConfigInput;

/** Everything that a run stores, its stages called one after the other as the workflows call them, without a server. */
export async function finishRun(lab: Lab, config: RunConfigInput, run: string): Promise<Plan> {
  const plan = await lab.plan(config, `astro/${run}`);
  await searchAll(lab, plan);
  await storeResult(lab, artifactNames.searchResult(plan.search), { stage: 'search', key: plan.search.key });
  const funnel = await linearizeAll(lab, plan);
  const linearized = artifactNames.result('linearize', plan.linearize.key);
  await storeResult(lab, linearized, { stage: 'linearize', key: plan.linearize.key, funnel });
  for (const arm of plan.arms) {
    await fineTuneArm(lab, plan, arm);
    if (plan.rl[arm].params.iterations > 0) await reinforceArm(lab, plan, arm);
  }
  await evaluateAll(lab, plan);
  await lab.call('writeSummary', { plan, outcomes: [] });
  return plan;
}

async function reinforceArm(lab: Lab, plan: Plan, arm: Arm): Promise<void> {
  const rl = plan.rl[arm];
  const { policy } = rl;
  const start = await lab.call('prepareRl', { plan: rl });
  const publish = (checkpoint: Checkpoint, live: LiveModel | null, name: string) =>
    lab.call('publish', { policy, checkpoint, live, name, release: live === null });
  let { checkpoint, live } = await publish(start.checkpoint, null, `rl-${arm}-start`);
  let usage: Usage = noUsage;
  for (let iteration = 0; iteration < rl.params.iterations; iteration++) {
    const rollouts = await lab.call('rollout', { plan: rl, iteration, prompts: start.prompts, checkpoint });
    const update = await lab.call('updatePolicy', { plan: rl, iteration, rollouts: rollouts.ref, checkpoint, live });
    usage = addUsage(usage, rollouts.usage);
    ({ checkpoint, live } = await publish(update.checkpoint, update.live, `rl-${arm}-${iteration}`));
  }
  const { iterations } = rl.params;
  await storeResult(lab, artifactNames.result('rl', rl.key), {
    ...{ stage: 'rl', arm, key: rl.key },
    ...{ usage, checkpoint, iterations },
  });
}

async function evaluateAll(lab: Lab, { evaluate: plan }: Plan): Promise<void> {
  for (const entry of plan.checkpoints) {
    const checkpoint = await lab.call('loadCheckpoint', { plan, entry });
    for (const benchmark of plan.benchmarks) {
      for (let first = 0; first < benchmark.problems.count; first += plan.params.problemsPerChunk)
        await lab.call('evaluateChunk', { plan, entry, checkpoint, benchmark, first });
    }
  }
  await storeResult(lab, artifactNames.evaluationResult(plan), { stage: 'evaluate', key: plan.key });
}

async function storeResult(lab: Lab, name: string, of: { stage: string; key: string; [field: string]: unknown }) {
  const frame = { schema: 'astroflow.stage-result/1' as const, startedAtMs: 1000, endedAtMs: 2000, usage: noUsage };
  await lab.call('storeResult', { name, result: { ...frame, ...of } });
}
