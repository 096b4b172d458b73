import { continueAsNew } from '@temporalio/workflow';
import { artifactNames, type SftPlan } from '../config/plan.ts';
import type { Checkpoint } from '../core/checkpoint.ts';
import { noUsage } from '../core/usage.ts';
import type { LiveModel } from '../services/trainer/trainer.ts';
import { jobActivities, trainActivities } from './activities.ts';
import { createControl } from './control.ts';
import { jobStep, trainsByJob } from './job-step.ts';
import { historyIsLong, planOf, runStage, type StageInput, type StageOutcome } from './stage.ts';

/** Carried from run to run when the workflow continues as new. */
interface FineTuneState {
  checkpoint: Checkpoint;
  live: LiveModel | null;
  tokens: number;
  startedAtMs: number;
}

/** Data set and base → checkpoint of one arm. A durable step is a chunk of optimiser steps that ends in a checkpoint. */
export async function fineTune(input: StageInput<SftPlan> & { state?: FineTuneState } = {}): Promise<StageOutcome> {
  const control = createControl(input);
  const plan = await planOf(input, (resolved) => resolved.plan.sft[resolved.arm]);
  const { run, key, arm, policy, onFailure } = plan;
  const { steps, stepsPerChunk } = plan.params;
  const resultName = artifactNames.result('sft', key);
  const state: FineTuneState = input?.state ?? {
    checkpoint: { id: 'base', step: 0, base: policy.base, trainerState: null },
    live: null,
    tokens: 0,
    startedAtMs: Date.now(),
  };
  const { startedAtMs, tokens } = state;
  const sofar = { startedAtMs, tokens, done: state.checkpoint.step };

  const names = { name: 'sft' as const, arm, run, key, onFailure, resultName };
  return runStage({ ...names, total: steps, unit: 'steps', ...sofar }, control, async (track) => {
    const { trainSteps, publish } = trainActivities();
    if (trainsByJob(policy)) await trainByJob();
    else await trainInSteps();
    const { checkpoint, live } = state;
    const published = await control.step('publishing the model', (again) =>
      publish({
        policy,
        checkpoint,
        live: again ? null : live,
        name: `sft-${arm}`,
        release: true,
        resume: plan.resume,
      }),
    );
    return { usage: noUsage, checkpoint: published.checkpoint };

    async function trainInSteps(): Promise<void> {
      while (state.checkpoint.step < steps) {
        if (historyIsLong()) await continueAsNew<typeof fineTune>({ plan, state, ...control.carried() });
        const { checkpoint, live } = state;
        const toStep = Math.min(steps, checkpoint.step + stepsPerChunk);
        const summary = `steps ${checkpoint.step + 1} to ${toStep}`;
        const chunk = await control.step(summary, (again) =>
          trainSteps.executeWithOptions({ summary }, [{ plan, checkpoint, live: again ? null : live, toStep }]),
        );
        state.checkpoint = chunk.checkpoint;
        state.live = chunk.live;
        state.tokens += chunk.tokens;
        await track.update({ done: toStep, tokens: state.tokens, note: `loss ${chunk.loss.toFixed(3)}` });
      }
    }

    async function trainByJob(): Promise<void> {
      const { checkpoint } = await jobStep(control, `fine-tune ${arm}`, (summary, failed) =>
        jobActivities().fineTuneByJob.executeWithOptions({ summary }, [{ plan, failed }]),
      );
      state.checkpoint = checkpoint;
      await track.update({ done: checkpoint.step });
    }
  });
}
