import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunConfigInput } from '../../src/config/schema.ts';
import { ServiceError } from '../../src/services/errors.ts';
import type { Sampler } from '../../src/services/sampler/sampler.ts';
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

describe('a search that breaks at any of its calls and is tried again', () => {
  const deep = {
    ...tinyRun,
    task: { name: 'countdown', numbers: 4 },
    search: { problems: { split: 'train', count: 1 }, rounds: 3, leavesPerRound: 2, rolloutsPerChild: 2 },
  } satisfies RunConfigInput;

  /** Searches the one problem; `breakAt` is the call, from 0, at which each first attempt ends. Gives calls and files. */
  async function searchOnce(breakAt: number | null) {
    const lab = await openLab();
    try {
      const { search } = await lab.plan(deep);
      const asked: string[] = [];
      const counting = (real: Sampler): Sampler => ({
        ...real,
        sample(request, signal) {
          if (request.attempt === 1 && asked.length === breakAt)
            return Promise.reject(new ServiceError('retryable', 'killed', { service: 'sampler' }));
          asked.push(request.callId);
          return real.sample(request, signal);
        },
      });
      const attempt = (number: number) =>
        lab.call(
          'searchRounds',
          { search, index: 0, maxRounds: 3 },
          { attempt: number, doubles: { sampler: counting } },
        );
      if (breakAt !== null) await expect(attempt(1)).rejects.toMatchObject({ type: 'ServiceUnavailable' });
      await attempt(2);
      return { asked, files: await filesOf(lab, 'search') };
    } finally {
      await lab.close();
    }
  }

  it('goes on with the same selections and makes the same bytes', async () => {
    const calm = await searchOnce(null);
    expect(calm.asked.length).toBeGreaterThan(4);
    const roundOf = (callId: string) => Number(callId.split('/')[4]);
    for (const [breakAt, call] of calm.asked.entries()) {
      const broken = await searchOnce(breakAt);
      // The calls before the break, and then every call from the broken round's first on: the same, in the same order.
      const again = calm.asked.filter((other) => roundOf(other) >= roundOf(call));
      expect(broken.asked).toEqual([...calm.asked.slice(0, breakAt), ...again]);
      expect(broken.files).toEqual(calm.files);
    }
  });
});
