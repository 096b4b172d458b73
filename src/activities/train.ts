import { artifactNames, type SftPlan } from '../config/plan.ts';
import type { PolicyConfig } from '../config/schema.ts';
import type { Checkpoint } from '../core/checkpoint.ts';
import type { SftRow } from '../core/records.ts';
import type { ResumeLimits } from '../core/resume-gate.ts';
import { epochBatches } from '../core/rl/epochs.ts';
import { linearSchedule } from '../core/rl/schedule.ts';
import { sftData } from '../core/rl/sft-data.ts';
import { deriveSeed } from '../core/seed.ts';
import { ServiceError } from '../services/errors.ts';
import type { FetchWeights } from '../services/publisher/publisher.ts';
import type { Datum, LiveModel } from '../services/trainer/trainer.ts';
import { attempt } from './boundary.ts';
import type { ActivityDeps } from './deps.ts';
import { failure } from './failures.ts';
import { liveModelAt, saveCheckpoint } from './live-model.ts';
import { createLoader, requireArtifact } from './load.ts';
import { checkPass, recordedPasses } from './resume-gate.ts';

export interface TrainStepsInput {
  plan: SftPlan;
  checkpoint: Checkpoint;
  /** Where the last chunk left its model; a hint that only a first attempt may take. */
  live: LiveModel | null;
  /** Train up to and including this step, counted from the stage's start. */
  toStep: number;
}

export interface TrainStepsResult {
  /** Absent in what release 0.1 stored. */
  schema?: 'astroflow.sft-step/1';
  checkpoint: Checkpoint;
  live: LiveModel | null;
  /** Mean loss per target token over the chunk. */
  loss: number;
  /** Tokens trained on, prompts included. */
  tokens: number;
}

export function createTrainActivities(deps: ActivityDeps) {
  const { store } = deps;
  const lines = createLoader(store);

  return {
    /** Optimiser steps of fine-tuning up to `toStep`, ending in a stored checkpoint. */
    trainSteps: (input: TrainStepsInput): Promise<TrainStepsResult> =>
      attempt(async (at) => {
        const { plan, checkpoint, toStep } = input;
        const name = artifactNames.sftStep(plan.key, toStep);
        const earlier = await store.find(name);
        if (earlier !== null) return { ...(await store.getJson<TrainStepsResult>(earlier)), live: null };

        const rows = await lines<SftRow>(
          await requireArtifact(store, artifactNames.rows(plan.linearizeKey, plan.arm), 'linearizeCorpus'),
        );
        if (rows.length === 0) {
          const funnel = store.locate(artifactNames.funnel(plan.linearizeKey));
          throw failure('MissingInput', `the ${plan.arm} arm has no rows: ${funnel} says what became of the trees`);
        }
        const { trainer } = deps.services(plan.policy);
        const seed = deriveSeed(plan.seed, plan.key);
        const gate = { store, limits: plan.resume };
        let live = await liveModelAt(trainer, checkpoint, input.live, at, gate);
        const batchOf = epochBatches(rows, seed, plan.params.batchSize);
        let lossSum = 0;
        let tokens = 0;
        let data: Datum[] = [];
        for (let step = checkpoint.step; step < toStep; step++) {
          const batch = batchOf(step);
          const learningRate = linearSchedule(step, plan.params);
          data = sftData(batch, plan.params);
          const adam = { ...plan.params.adam, learningRate };
          const done = await trainer.step(live, data, { name: 'cross_entropy' }, adam, at.signal);
          live = done.live;
          const pass = step - checkpoint.step;
          if (pass < recordedPasses(checkpoint)) {
            const passName = artifactNames.sftPass(plan.key, checkpoint.step, pass);
            await checkPass(gate, passName, { checkpoint, data, logprobs: done.result.logprobs });
          }
          lossSum += done.result.loss;
          tokens += batch.reduce((sum, row) => sum + row.promptTokens.length + row.completionTokens.length, 0);
          at.report({ phase: 'train', done: step + 1, total: toStep });
        }
        const last = toStep === plan.params.steps;
        const saved = await saveCheckpoint(trainer, live, store, {
          id: `${plan.key}/step-${toStep}`,
          step: toStep,
          base: checkpoint.base,
          name: `step-${toStep}`,
          keep: last,
          resultName: name,
          lastBatch: data,
          at,
        });
        const loss = lossSum / (toStep - checkpoint.step);
        const result: TrainStepsResult = { schema: 'astroflow.sft-step/1', ...saved, loss, tokens };
        const ref = await store.putJson(name, result);
        const stored = await store.getJson<TrainStepsResult>(ref);
        // Another attempt may have been first: its checkpoint counts, and our model does not stand at it.
        return stored.checkpoint.trainerState === saved.checkpoint.trainerState ? result : { ...stored, live: null };
      }),

    /**
     * Makes a checkpoint's weights reach the sampler and confirms it. Nothing may ask for a version before this.
     * `release` forgets the live model afterwards: nobody will train it further.
     */
    publish: (input: {
      policy: PolicyConfig;
      checkpoint: Checkpoint;
      live: LiveModel | null;
      name: string;
      release: boolean;
      resume?: ResumeLimits | undefined;
    }): Promise<{ checkpoint: Checkpoint; live: LiveModel | null }> =>
      attempt(async (at) => {
        const { policy, checkpoint, name } = input;
        const { trainer, sampler, publisher } = deps.services(policy);
        if (checkpoint.samplerModel !== undefined) {
          try {
            await sampler.confirm(checkpoint.samplerModel, at.signal);
            return { checkpoint, live: input.live };
          } catch (error) {
            if (!(error instanceof ServiceError && error.kind === 'lost')) throw error;
            // The sampler no longer has this version: make it again from the checkpoint.
            if (checkpoint.trainerState === null) {
              if (publisher.publishBase === undefined) throw error;
              at.report({ phase: 'publish the base' });
              await publisher.publishBase(at.signal);
              await sampler.confirm(checkpoint.samplerModel, at.signal);
              return { checkpoint, live: input.live };
            }
          }
        }
        const live = await liveModelAt(trainer, checkpoint, input.live, at, { store, limits: input.resume });
        const attemptName = `${name}-a${at.number}`;
        const saved = await trainer.saveForSampler(live, attemptName, at.signal);
        const fetch: FetchWeights = (folder, signal) => trainer.fetchWeights(saved.samplerModel, folder, signal);
        at.report({ phase: `publish ${saved.samplerModel}` });
        const samplerModel = await publisher.publish(saved.samplerModel, fetch, at.signal);
        await sampler.confirm(samplerModel, at.signal);
        const published = { ...checkpoint, samplerModel };
        if (!input.release) return { checkpoint: published, live: saved.live };
        await trainer.release(saved.live, at.signal);
        return { checkpoint: published, live: null };
      }),
  };
}
