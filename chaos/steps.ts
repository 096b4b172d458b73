import type { UpdateResult } from '../src/activities/reinforce.ts';
import type { TrainStepsResult } from '../src/activities/train.ts';
import type { Checkpoint } from '../src/core/checkpoint.ts';
import type { RolloutRecord } from '../src/core/records.ts';
import { buildPolicyBatches } from '../src/core/rl/policy-data.ts';
import { configOf, pick, type Stored } from './stored.ts';

export interface StepFindings {
  /** Optimiser steps that a stored checkpoint has too many or too few. */
  repeatedOptimizerSteps: number;
  notes: string[];
}

/**
 * Whether every stored checkpoint stands where its place in the run says: fine-tuning's at its step, an iteration's
 * one step a batch further than the one before. `appliedTo` tells how many steps the trainer itself says it has applied
 * to a state; null where it keeps no count.
 */
export function checkSteps(stored: Stored, appliedTo: (checkpoint: Checkpoint) => number | null): StepFindings {
  const findings: StepFindings = { repeatedOptimizerSteps: 0, notes: [] };
  const expect = (name: string, checkpoint: Checkpoint, steps: number) => {
    for (const [who, found] of [
      ['the run', checkpoint.step],
      ['the trainer', appliedTo(checkpoint)],
    ] as const) {
      if (found === null || found === steps) continue;
      findings.repeatedOptimizerSteps += Math.abs(found - steps);
      findings.notes.push(`${name}: ${who} counts ${found} optimiser steps, not ${steps}`);
    }
  };

  const config = configOf(stored);
  for (const { name, groups, values } of pick<TrainStepsResult>(stored, /^sft\/[^/]+\/step-(\d+)\.json$/))
    expect(name, (values[0] as TrainStepsResult).checkpoint, Number(groups[0]));

  const rollouts = new Map(
    pick<RolloutRecord>(stored, /^(rl\/[^/]+\/iter-\d+)\/rollouts-\d+\.jsonl$/).map((file) => [
      file.groups[0] as string,
      file.values,
    ]),
  );
  const updates = pick<UpdateResult>(stored, /^((rl\/[^/]+)\/iter-(\d+))\/update\.json$/);
  updates.sort((a, b) => (a.name < b.name ? -1 : 1));
  let before = { folder: '', iteration: -1, steps: 0 };
  for (const { name, groups, values } of updates) {
    const [iterationFolder = '', folder = '', number = ''] = groups;
    if (folder !== before.folder) before = { folder, iteration: -1, steps: 0 };
    const iteration = Number(number);
    if (iteration !== before.iteration + 1) {
      findings.repeatedOptimizerSteps += iteration - before.iteration - 1;
      findings.notes.push(`${name} follows iteration ${before.iteration}`);
    }
    const made = rollouts.get(iterationFolder) ?? [];
    const arm = made[0]?.arm ?? 'search';
    const steps = before.steps + buildPolicyBatches(made, config.rl[arm]).length;
    expect(name, (values[0] as UpdateResult).checkpoint, steps);
    before = { folder, iteration, steps };
  }
  return findings;
}
