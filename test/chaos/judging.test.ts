import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { differences } from '../../chaos/differences.ts';
import { checkRounds, countPlanned } from '../../chaos/rounds.ts';
import { checkSteps } from '../../chaos/steps.ts';
import { readStored, type Stored, valuesOf } from '../../chaos/stored.ts';
import type { RunConfigInput } from '../../src/config/schema.ts';
import { fineTuneArm, type Lab, linearizeAll, openLab, searchAll } from '../support/lab.ts';
import { tinyRun } from '../support/pipeline.ts';

const config = {
  ...tinyRun,
  search: { problems: { split: 'train', count: 4 }, rounds: 3, pageSize: 4 },
} satisfies RunConfigInput;

let lab: Lab;
let stored: Stored;
beforeAll(async () => {
  lab = await openLab();
  const plan = await lab.plan(config);
  await searchAll(lab, plan);
  await linearizeAll(lab, plan);
  await fineTuneArm(lab, plan, 'search');
  const rl = plan.rl.search;
  const start = await lab.call('prepareRl', { plan: rl });
  let { checkpoint } = start;
  for (const iteration of [0, 1]) {
    const { ref } = await lab.call('rollout', { plan: rl, iteration, prompts: start.prompts, checkpoint });
    const done = await lab.call('updatePolicy', { plan: rl, iteration, rollouts: ref, checkpoint, live: null });
    checkpoint = { ...done.checkpoint, samplerModel: `${done.checkpoint.trainerState}/sampler` };
  }
  stored = readStored(lab.folder);
});
afterAll(() => lab.close());

/** The store with one artifact changed, or without it. */
function altered(name: RegExp, change: (value: never) => unknown): Stored {
  const found = [...stored.keys()].find((key) => name.test(key)) ?? '';
  const copy = new Map(stored);
  const values = valuesOf<never>(found, copy.get(found) as Buffer).map(change);
  if (values.includes(undefined)) copy.delete(found);
  else copy.set(found, Buffer.from(values.map((value) => `${JSON.stringify(value)}\n`).join('')));
  return copy;
}

const rounds = (of: Stored) => checkRounds(of, countPlanned(stored));
const steps = (of: Stored) => checkSteps(of, () => null);

describe('the judgement of a run', () => {
  it('finds nothing in a run that is whole', () => {
    expect(rounds(stored)).toEqual({ lostRounds: 0, duplicateRounds: 0, notes: [] });
    expect(steps(stored)).toEqual({ repeatedOptimizerSteps: 0, notes: [] });
    expect(differences(stored, new Map(stored))).toEqual([]);
  });

  it('sees a round that is missing, and one that the tree does not hold', () => {
    expect(rounds(altered(/round-0000/, () => undefined)).lostRounds).toBe(1);
    const emptied = altered(/round-0001/, (round: object) => ({ ...round, expansions: [], revisits: [0] }));
    expect(rounds(emptied)).toMatchObject({ lostRounds: 1, notes: [expect.stringContaining('not the fold')] });
  });

  it('sees a tree that is missing, and a call that paid for two rounds', () => {
    expect(rounds(altered(/tree\.json/, () => undefined)).lostRounds).toBe(1);
    const doubled = altered(/tree\.json/, (tree: { calls: string[] }) => ({
      ...tree,
      calls: [...tree.calls, tree.calls[0]],
    }));
    expect(rounds(doubled).duplicateRounds).toBe(1);
  });

  it('sees an answer that was sampled twice', () => {
    const twice = altered(/rollouts/, (row: object) => ({ ...row, group: 0, sample: 0 }));
    expect(rounds(twice).duplicateRounds).toBeGreaterThan(0);
  });

  it('sees a step too many and a step too few, by the run and by the trainer', () => {
    for (const by of [1, -1]) {
      const moved = altered(/step-\d+\.json/, (result: { checkpoint: { step: number } }) => ({
        ...result,
        checkpoint: { ...result.checkpoint, step: result.checkpoint.step + by },
      }));
      expect(steps(moved).repeatedOptimizerSteps).toBe(1);
    }
    expect(checkSteps(stored, ({ step }) => step + 1).repeatedOptimizerSteps).toBe(3);
  });

  it('sees an iteration whose update is missing', () => {
    expect(steps(altered(/iter-0000\/update/, () => undefined)).repeatedOptimizerSteps).toBeGreaterThan(0);
  });

  it('names the artifact and the place of any other difference, and leaves times out', () => {
    expect(
      differences(
        stored,
        altered(/tree\.json/, () => undefined),
      ),
    ).toEqual([expect.stringMatching(/^search\/.*tree\.json is missing$/)]);
    expect(
      differences(
        stored,
        altered(/round-0000/, (round: object) => ({ ...round, revisits: [0] })),
      ),
    ).toEqual([expect.stringMatching(/^search\/.*round-0000\.json has other bytes$/)]);
    const result = /sft\/.*\/result\.json/;
    expect(
      differences(
        stored,
        altered(result, (value: object) => ({ ...value, endedAtMs: 5 })),
      ),
    ).toEqual([]);
    expect(
      differences(
        stored,
        altered(result, (value: object) => ({ ...value, key: 'x' })),
      ),
    ).toEqual([expect.stringMatching(/differs at \$\.0\.key$/)]);
  });

  it('leaves out the reports, which show times, and nothing else of a run', () => {
    const withText = (name: string, text: string) => new Map(stored).set(`runs/demo/${name}`, Buffer.from(text));
    for (const name of ['report.md', 'report.html'])
      expect(differences(withText(name, 'a'), withText(name, 'b'))).toEqual([]);
    expect(differences(withText('matrix.jsonl', '1'), withText('matrix.jsonl', '2'))).toEqual([
      'runs/demo/matrix.jsonl has other bytes',
    ]);
  });
});
