import type { StageProgress } from './progress.ts';

/** A stage that has just begun has no rate worth showing. */
const minimumRateMs = 1000;

type Paced = Pick<StageProgress, 'state' | 'done' | 'total' | 'tokens' | 'startedAtMs' | 'endedAtMs'>;

/** Share done in [0, 1]; 0 while the total is unknown. */
export function shareOf(stage: Pick<StageProgress, 'state' | 'done' | 'total'>): number {
  if (stage.state === 'done' || stage.state === 'reused') return 1;
  return stage.total > 0 ? Math.min(1, Math.max(0, stage.done / stage.total)) : 0;
}

/** Since the stage began, until it ended or now; null: it has not begun, or nobody knows when. */
export function elapsedMs({ startedAtMs, endedAtMs }: Paced, nowMs: number): number | null {
  return startedAtMs === undefined ? null : Math.max(0, (endedAtMs ?? nowMs) - startedAtMs);
}

/** Tokens per second over the stage so far, or null before there is anything to say. */
export function tokenRate(stage: Paced, nowMs: number): number | null {
  const ms = rateTime(stage, nowMs);
  return ms === null || stage.tokens === 0 ? null : stage.tokens / (ms / 1000);
}

/** Of what the stage counts (problems, steps, iterations), per second. */
export function doneRate(stage: Paced, nowMs: number): number | null {
  const ms = rateTime(stage, nowMs);
  return ms === null || stage.done === 0 ? null : stage.done / (ms / 1000);
}

/** Until the stage has ended if it goes on as it did so far; null where it does not go on, or nothing is done yet. */
export function msLeft(stage: Paced, nowMs: number): number | null {
  const rate = stage.state === 'running' ? doneRate(stage, nowMs) : null;
  if (rate === null || stage.total <= stage.done) return null;
  return ((stage.total - stage.done) / rate) * 1000;
}

/** A reused stage's work was done by an earlier run, in a time that is not known here. */
function rateTime(stage: Paced, nowMs: number): number | null {
  const ms = elapsedMs(stage, nowMs);
  return stage.state === 'reused' || ms === null || ms < minimumRateMs ? null : ms;
}
