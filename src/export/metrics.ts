import type { TrainedByJob } from '../activities/job-training.ts';
import type { UpdateResult } from '../activities/reinforce.ts';
import type { StoredStageResult } from '../activities/results.ts';
import type { TrainStepsResult } from '../activities/train.ts';
import { artifactNames, type Plan } from '../config/plan.ts';
import type { Arm } from '../config/schema.ts';
import type { Score } from '../report/summary-schema.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import { chunkEnds } from './checkpoints.ts';
import { jobCurves } from './job-curves.ts';
import { storedScores } from './stored-scores.ts';

export interface Point {
  /** Optimiser steps of fine-tuning, iterations of RL from 1; of scores: 0 the base, 1 behind SFT, 2 behind RL. */
  step: number;
  value: number;
  /** End of the stage that it belongs to: when each point was made is not stored. Now, while the stage goes on. */
  timeMs: number;
}

/** One arm's curves and scores: a run, as trackers call it. */
export interface ArmMetrics {
  arm: Arm;
  /** By name: `sft/loss`, `rl/reward`, `eval/BENCHMARK/pass_at_1`. */
  series: Record<string, Point[]>;
  /** Settings of the arm, flat: `sft.learningRate`. */
  params: Record<string, string | number | boolean>;
  /** Content key of the arm's last stage: equal keys are equal curves. */
  key: string;
  finished: boolean;
}

export interface Metrics {
  run: string;
  arms: ArmMetrics[];
  /** What the run has not made yet, in words. */
  missing: string[];
}

/** Everything that the arms' stages have measured so far. */
export async function collectMetrics(
  store: ArtifactStore,
  plan: Plan,
  arms: readonly Arm[],
  nowMs: number,
): Promise<Metrics> {
  const { scores, endedAtMs, missing } = await storedScores(store, plan);
  const found: ArmMetrics[] = [];
  for (const arm of arms) {
    const series: ArmMetrics['series'] = {};
    const add = (name: string, step: number, timeMs: number, value: number | null) => {
      if (value === null || !Number.isFinite(value)) return;
      series[name] ??= [];
      series[name].push({ step, value, timeMs });
    };
    await addFineTuning();
    await addReinforcement();
    addScores(scores, endedAtMs ?? nowMs, arm, add);
    const last = plan.rl[arm].params.iterations > 0 ? plan.rl[arm] : plan.sft[arm];
    const stage = last === plan.rl[arm] ? 'rl' : 'sft';
    const finished = (await store.find(artifactNames.result(stage, last.key))) !== null;
    found.push({ arm, series, params: paramsOf(plan, arm), key: last.key, finished });

    async function addFineTuning(): Promise<void> {
      const { key } = plan.sft[arm];
      const timeMs = (await endOf('sft', key)) ?? nowMs;
      await addJob('sft', key, timeMs);
      let tokens = 0;
      for (const step of chunkEnds(plan.sft[arm])) {
        const ref = await store.find(artifactNames.sftStep(key, step));
        if (ref === null) continue;
        const chunk = await store.getJson<TrainStepsResult>(ref);
        tokens += chunk.tokens;
        add('sft/loss', step, timeMs, chunk.loss);
        add('sft/tokens', step, timeMs, tokens);
      }
      noteAbsent('sft', 'fine-tuning');
    }

    async function addReinforcement(): Promise<void> {
      const { key, params } = plan.rl[arm];
      if (params.iterations === 0) return;
      const timeMs = (await endOf('rl', key)) ?? nowMs;
      await addJob('rl', key, timeMs);
      let tokens = 0;
      for (let iteration = 0; iteration < params.iterations; iteration++) {
        const ref = await store.find(artifactNames.update(key, iteration));
        if (ref === null) break;
        const { summary: point, usage } = await store.getJson<UpdateResult>(ref);
        tokens += usage.completionTokens;
        const values = {
          reward: point.meanReward,
          pass_rate: point.passRate,
          tokens_per_answer: point.meanTokens,
          truncated: point.truncated,
          backtracks_per_answer: point.backtracksPerAnswer,
          zero_variance_groups: point.groups === 0 ? 0 : point.zeroVarianceGroups / point.groups,
          entropy: point.entropy,
          logprob_gap: point.logprobGap,
          loss: point.loss,
          sampled_tokens: tokens,
        };
        for (const [name, value] of Object.entries(values)) add(`rl/${name}`, iteration + 1, timeMs, value);
      }
      noteAbsent('rl', 'reinforcement learning');
    }

    async function addJob(stage: 'sft' | 'rl', key: string, timeMs: number): Promise<void> {
      const ref = await store.find(artifactNames.trained(stage, key));
      if (ref === null) return;
      for (const { name, step, value } of await jobCurves(await store.getJson<TrainedByJob>(ref)))
        add(`${stage}/${trackerName(name)}`, step, timeMs, value);
    }

    function noteAbsent(stage: string, words: string): void {
      if (!Object.keys(series).some((name) => name.startsWith(`${stage}/`)))
        missing.push(`${arm} ${stage}/… (${words} has measured nothing)`);
    }
  }
  return { run: plan.run, arms: found, missing };

  async function endOf(stage: 'sft' | 'rl', key: string): Promise<number | null> {
    const ref = await store.find(artifactNames.result(stage, key));
    return ref && (await store.getJson<StoredStageResult>(ref)).endedAtMs;
  }
}

/** Trainers' own names may hold characters that MLflow does not take. */
const trackerName = (name: string): string => name.replace(/[^A-Za-z0-9_./ -]/g, '_');

function addScores(
  scores: readonly Score[],
  timeMs: number,
  arm: Arm,
  add: (name: string, step: number, timeMs: number, value: number | null) => void,
): void {
  for (const [step, checkpoint] of ['base', `${arm}-sft`, `${arm}-rl`].entries()) {
    for (const score of scores.filter((one) => one.checkpoint === checkpoint)) {
      const values = {
        pass_at_1: score.passAt1.value,
        pass_at_1_low: score.passAt1.low,
        pass_at_1_high: score.passAt1.high,
        ...Object.fromEntries(score.passAtK.filter(({ k }) => k > 1).map(({ k, value }) => [`pass_at_${k}`, value])),
        ...Object.fromEntries(score.majAtK.filter(({ k }) => k > 1).map(({ k, value }) => [`maj_at_${k}`, value])),
        tokens_per_answer: score.tokensPerAnswer,
        backtracks_per_answer: score.backtracksPerAnswer,
        truncated: score.truncated,
      };
      for (const [name, value] of Object.entries(values)) add(`eval/${score.benchmark}/${name}`, step, timeMs, value);
    }
  }
}

/** What makes an arm what it is; settings that only say where and how fast are in no content key, and not here. */
function paramsOf(plan: Plan, arm: Arm): ArmMetrics['params'] {
  const { policy, task } = plan.search;
  return flat({
    run: plan.run,
    arm,
    seed: plan.seed,
    task,
    policy: { base: policy.base, revision: policy.revision, template: policy.template },
    search: plan.search.params,
    linearize: plan.linearize.params,
    sft: plan.sft[arm].params,
    rl: plan.rl[arm].params,
  });
}

function flat(value: unknown, path = ''): ArmMetrics['params'] {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return { [path]: value };
  if (value === null || typeof value !== 'object') return {};
  if (Array.isArray(value)) return { [path]: JSON.stringify(value) };
  return Object.assign(
    {},
    ...Object.entries(value).map(([name, inner]) => flat(inner, path === '' ? name : `${path}.${name}`)),
  );
}
