import type { Plan } from '../config/plan.ts';
import type { Arm } from '../config/schema.ts';
import type { Score } from '../report/summary-schema.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import { armCurves, type Measured } from './arm-curves.ts';
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
  const { scores, endedAtMs: evaluatedAtMs, missing } = await storedScores(store, plan);
  const found: ArmMetrics[] = [];
  for (const arm of arms) {
    const series: ArmMetrics['series'] = {};
    const add = (name: string, { step, value }: Omit<Measured, 'name'>, timeMs: number) => {
      if (value === null || !Number.isFinite(value)) return;
      series[name] ??= [];
      series[name].push({ step, value, timeMs });
    };
    const stages = await armCurves(store, plan, arm);
    for (const { stage, endedAtMs, measured } of stages) {
      for (const { name, ...point } of measured) add(`${stage}/${trackerName(name)}`, point, endedAtMs ?? nowMs);
      if (measured.length === 0) missing.push(`${arm} ${stage}/… (nothing is measured)`);
    }
    for (const { name, ...point } of scoresOf(scores, arm)) add(`eval/${name}`, point, evaluatedAtMs ?? nowMs);
    const last = stages.at(-1);
    const { key } = last?.stage === 'rl' ? plan.rl[arm] : plan.sft[arm];
    found.push({ arm, series, params: paramsOf(plan, arm), key, finished: (last?.endedAtMs ?? null) !== null });
  }
  return { run: plan.run, arms: found, missing };
}

/** Trainers' own names may hold characters that MLflow does not take. */
const trackerName = (name: string): string => name.replace(/[^A-Za-z0-9_./ -]/g, '_');

/** Of the base, and of what the arm's two stages made of it. */
function scoresOf(scores: readonly Score[], arm: Arm): Measured[] {
  return ['base', `${arm}-sft`, `${arm}-rl`].flatMap((checkpoint, step) =>
    scores
      .filter((score) => score.checkpoint === checkpoint)
      .flatMap((score) => {
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
        return Object.entries(values).map(([name, value]) => ({ name: `${score.benchmark}/${name}`, step, value }));
      }),
  );
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
