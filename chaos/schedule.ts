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
 * places of a run on any machine. Half of them are drawn from all artifacts, half from those of one stage, since a
 * stage of few long steps matters as much as one of many short ones; no two fall on the same artifact while there are
 * others. Every target gets its turn before any gets its next.
 */
export function planKills({ seed, kills, targets, stages }: ScheduleOptions): Kill[] {
  const random = createRandom(seed);
  // What ends a run has nothing behind it that a kill could disturb.
  const last = stages.findLastIndex((stage) => stage !== 'runs');
  const all = stages.slice(0, last + 1).map((stage, index) => ({ stage, afterArtifacts: index + 1 }));
  const names = [...new Set(all.map(({ stage }) => stage))];
  let free = all;
  const moments = Array.from({ length: kills }, () => {
    if (free.length === 0) free = all;
    const stage = random.pick(names);
    const inStage = free.filter((place) => place.stage === stage);
    const place = random.pick(random.int(2) === 0 && inStage.length > 0 ? inStage : free);
    free = free.filter((other) => other !== place);
    return place.afterArtifacts;
  }).sort((a, b) => a - b);
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
