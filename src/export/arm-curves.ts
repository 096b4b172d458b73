import type { TrainedByJob } from '../activities/job-training.ts';
import type { UpdateResult } from '../activities/reinforce.ts';
import type { StoredStageResult } from '../activities/results.ts';
import type { TrainStepsResult } from '../activities/train.ts';
import { artifactNames, type Plan } from '../config/plan.ts';
import type { Arm } from '../config/schema.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import { chunkEnds } from './checkpoints.ts';
import { jobCurves } from './job-curves.ts';

/** A number under its name in trackers, without the stage: `reward`. */
export interface Measured {
  name: string;
  step: number;
  value: number | null;
}

/** What a stage of an arm has measured so far, and when it ended: null while it goes on. */
export interface StageCurves {
  stage: 'sft' | 'rl';
  endedAtMs: number | null;
  measured: Measured[];
}

/** The curves of an arm's training. */
export async function armCurves(store: ArtifactStore, plan: Plan, arm: Arm): Promise<StageCurves[]> {
  const stages = [await stageCurves(store, 'sft', plan.sft[arm].key, await fineTuning(store, plan, arm))];
  const { key, params } = plan.rl[arm];
  if (params.iterations > 0) stages.push(await stageCurves(store, 'rl', key, await reinforcement(store, plan, arm)));
  return stages;
}

async function stageCurves(
  store: ArtifactStore,
  stage: 'sft' | 'rl',
  key: string,
  ofSteps: Measured[],
): Promise<StageCurves> {
  const resultRef = await store.find(artifactNames.result(stage, key));
  const trainedRef = await store.find(artifactNames.trained(stage, key));
  return {
    stage,
    endedAtMs: resultRef && (await store.getJson<StoredStageResult>(resultRef)).endedAtMs,
    measured: trainedRef === null ? ofSteps : await jobCurves(await store.getJson<TrainedByJob>(trainedRef)),
  };
}

/** A point for every chunk of optimiser steps. */
async function fineTuning(store: ArtifactStore, plan: Plan, arm: Arm): Promise<Measured[]> {
  const measured: Measured[] = [];
  let sum = 0;
  for (const step of chunkEnds(plan.sft[arm])) {
    const ref = await store.find(artifactNames.sftStep(plan.sft[arm].key, step));
    if (ref === null) continue;
    const { loss, tokens } = await store.getJson<TrainStepsResult>(ref);
    sum += tokens;
    measured.push({ name: 'loss', step, value: loss }, { name: 'tokens', step, value: sum });
  }
  return measured;
}

/** A point for every iteration, counted from 1. */
async function reinforcement(store: ArtifactStore, plan: Plan, arm: Arm): Promise<Measured[]> {
  const { key, params } = plan.rl[arm];
  const measured: Measured[] = [];
  let sampled = 0;
  for (let iteration = 0; iteration < params.iterations; iteration++) {
    const ref = await store.find(artifactNames.update(key, iteration));
    if (ref === null) break;
    const { summary, usage } = await store.getJson<UpdateResult>(ref);
    sampled += usage.completionTokens;
    const values = {
      reward: summary.meanReward,
      pass_rate: summary.passRate,
      tokens_per_answer: summary.meanTokens,
      truncated: summary.truncated,
      backtracks_per_answer: summary.backtracksPerAnswer,
      zero_variance_groups: summary.groups === 0 ? 0 : summary.zeroVarianceGroups / summary.groups,
      entropy: summary.entropy,
      logprob_gap: summary.logprobGap,
      loss: summary.loss,
      sampled_tokens: sampled,
    };
    for (const [name, value] of Object.entries(values)) measured.push({ name, step: iteration + 1, value });
  }
  return measured;
}
