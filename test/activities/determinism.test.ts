import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunConfigInput } from '../../src/config/schema.ts';
import { filesOf, fineTuneArm, type Lab, linearizeAll, openLab, searchAll } from '../support/lab.ts';
import { tinyRun } from '../support/pipeline.ts';

const config = {
  ...tinyRun,
  search: { problems: { split: 'train', count: 6 }, rounds: 2, pageSize: 4 },
} satisfies RunConfigInput;

/** Search, rows, a tuned checkpoint, one RL iteration and answers, all by one configuration. */
async function everything(lab: Lab, input: RunConfigInput): Promise<Map<string, Buffer>> {
  const plan = await lab.plan(input);
  await searchAll(lab, plan, input.search?.roundsPerActivity);
  await linearizeAll(lab, plan);
  await fineTuneArm(lab, plan, 'search');
  const rl = plan.rl.search;
  const { prompts, checkpoint } = await lab.call('prepareRl', { plan: rl });
  const { ref: rollouts } = await lab.call('rollout', { plan: rl, iteration: 0, prompts, checkpoint });
  await lab.call('updatePolicy', { plan: rl, iteration: 0, rollouts, checkpoint, live: null });
  const [benchmark] = plan.evaluate.benchmarks;
  const entry = plan.evaluate.checkpoints.find(({ name }) => name === 'search-sft')!;
  const input0 = { plan: plan.evaluate, entry, checkpoint, benchmark: benchmark!, first: 0 };
  await lab.call('evaluateChunk', input0);
  const files = await filesOf(lab);
  for (const name of files.keys()) if (name.startsWith('runs/')) files.delete(name);
  return files;
}

describe('two runs of one configuration', () => {
  const labs: Lab[] = [];
  let first: Map<string, Buffer>;
  beforeAll(async () => {
    labs.push(await openLab(), await openLab(), await openLab());
    first = await everything(labs[0]!, config);
  });
  afterAll(() => Promise.all(labs.map((lab) => lab.close())));

  it('store the same bytes: trees, rows, checkpoints, rollouts and answers', async () => {
    expect(first.size).toBeGreaterThan(20);
    expect(await everything(labs[1]!, config)).toEqual(first);
  });

  it('also do when only dials differ', async () => {
    const dials = {
      ...config,
      search: { ...config.search, concurrency: 1, roundsPerActivity: 1 },
      sft: { ...config.sft, stepsPerChunk: 3 },
    };
    expect(await everything(labs[2]!, dials)).toEqual(first);
  });
});
