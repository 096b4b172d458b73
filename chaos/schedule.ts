import { createRandom } from '../src/core/seed.ts';

/** The processes of a run, each killed and started again on its own. */
export const targets = ['worker', 'engine', 'server'] as const;
export type Target = (typeof targets)[number];

/** One `kill -9`: when the run has stored `afterArtifacts` artifacts and `delayMs` have passed since. */
export interface Kill {
  target: Target;
  afterArtifacts: number;
  delayMs: number;
  /** Until the process is started again. */
  downMs: number;
}

export interface ScheduleOptions {
  seed: number;
  kills: number;
  targets: readonly Target[];
  /** Stage of every artifact of the undisturbed run, in the order they were stored. */
  stages: readonly string[];
}

/** Long enough to fall anywhere inside the step that follows an artifact. */
const mostDelayMs = 400;
const downMs = { least: 100, most: 1_500 };

/**
 * The kills of one run, in order. Moments are counted in artifacts, not in seconds, so that they lie at the same
 * places of a run on any machine: first a stage is drawn, then one of its artifacts, for a stage with few long steps
 * matters as much as one with many short ones. Every target gets its turn before any gets its next.
 */
export function planKills({ seed, kills, targets, stages }: ScheduleOptions): Kill[] {
  const random = createRandom(seed);
  const byStage = new Map<string, number[]>();
  for (const [index, stage] of stages.entries()) byStage.set(stage, [...(byStage.get(stage) ?? []), index]);
  // The last artifact has nothing behind it that a kill could disturb.
  byStage.set(stages.at(-1) ?? '', byStage.get(stages.at(-1) ?? '')?.slice(0, -1) ?? []);
  const places = [...byStage.values()].filter((indices) => indices.length > 0);
  const moments = Array.from({ length: kills }, () => random.pick(random.pick(places)) + 1).sort((a, b) => a - b);
  let turn: Target[] = [];
  return moments.map((afterArtifacts) => {
    if (turn.length === 0) turn = random.shuffle(targets);
    return {
      target: turn.pop() as Target,
      afterArtifacts,
      delayMs: random.int(mostDelayMs),
      downMs: downMs.least + random.int(downMs.most - downMs.least),
    };
  });
}
