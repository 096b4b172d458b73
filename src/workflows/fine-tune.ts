import { artifactNames, type SftPlan } from '../config/plan.ts';
import type { Checkpoint } from '../core/checkpoint.ts';
import { noUsage } from '../core/usage.ts';
import type { LiveModel } from '../services/trainer/trainer.ts';
import { trainActivities } from './activities.ts';
import { planOf, runStage, type StageInput, type StageOutcome } from './stage.ts';

/** Data set and base → checkpoint of one arm. A durable step is a chunk of optimiser steps that ends in a checkpoint. */
export async function fineTune(input: StageInput<SftPlan> = {}): Promise<StageOutcome> {
  const plan = await planOf(input, (resolved) => resolved.plan.sft[resolved.arm]);
  const { run, key, arm, policy } = plan;
  const { steps, stepsPerChunk } = plan.params;
  const resultName = artifactNames.result('sft', key);

  return runStage({ name: 'sft', arm, run, key, resultName, total: steps, unit: 'steps' }, async (track) => {
    const { trainSteps, publish } = trainActivities();
    let checkpoint: Checkpoint = { id: 'base', step: 0, base: policy.base, trainerState: null };
    let live: LiveModel | null = null;
    let tokens = 0;
    while (checkpoint.step < steps) {
      const toStep = Math.min(steps, checkpoint.step + stepsPerChunk);
      const chunk = await trainSteps.executeWithOptions({ summary: `steps ${checkpoint.step + 1} to ${toStep}` }, [
        { plan, checkpoint, live, toStep },
      ]);
      ({ checkpoint, live } = chunk);
      tokens += chunk.tokens;
      await track.update({ done: checkpoint.step, tokens, note: `loss ${chunk.loss.toFixed(3)}` });
    }
    const published = await publish({ policy, checkpoint, live, name: `sft-${arm}`, release: true });
    return { usage: noUsage, checkpoint: published.checkpoint };
  });
}
