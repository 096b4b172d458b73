import type { Plan } from '../../src/config/plan.ts';
import type { RunConfigInput } from '../../src/config/schema.ts';
import { type Lab, linearizeAll, openLab, searchAll } from './lab.ts';
import { shortRun } from './pipeline.ts';

/** A store with a run whose search broke off: two problems finished, one after two of its rounds, one not begun. */
export interface StoredRun {
  lab: Lab;
  plan: Plan;
  /** Searches the rest and writes the training rows. */
  finish(): Promise<void>;
}

/** Row of the problem whose search breaks off, and after how many rounds; it would take all four. */
export const brokenOffProblem = 2;
export const brokenOffRounds = 2;

/** Searches that take all their four rounds. */
export const brokenOffRun = {
  ...shortRun,
  run: 'lab',
  search: { ...shortRun.search, rounds: 4, leavesPerRound: 2, childrenPerLeaf: 3, rolloutsPerChild: 2, enough: null },
} satisfies RunConfigInput;

export async function storeBrokenOffRun(): Promise<StoredRun> {
  const lab = await openLab();
  const plan = await lab.plan(brokenOffRun);
  const { search } = plan;
  for (const index of [0, 1]) await lab.call('searchRounds', { search, index, maxRounds: 100 });
  await lab.call('searchRounds', { search, index: brokenOffProblem, maxRounds: brokenOffRounds });
  return {
    lab,
    plan,
    async finish() {
      await searchAll(lab, plan);
      await linearizeAll(lab, plan);
    },
  };
}
