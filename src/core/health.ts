/**
 * Whether one server of a pool takes part, learned from how it answers. Pure: times are milliseconds of any clock.
 *
 * A server that fails too often in a row is out for a while, each time twice as long as before. Then it is tried once;
 * that trial decides.
 */
export interface Health {
  /** Failures since the last answer, weighted: `FAILURE_WEIGHTS`. */
  failures: number;
  /** How often in a row it was taken out. */
  outs: number;
  /** When it may be tried again; null: it takes part. */
  outUntil: number | null;
}

/** What nobody listens to is gone; an error or a missing answer may be the request's own. */
export const FAILURE_WEIGHTS = { unreachable: 3, failing: 1 } as const;
export type FailureKind = keyof typeof FAILURE_WEIGHTS;

/** Taken out from so many weighted failures on. */
export const MOST_FAILURES = 3;

/** A restarted process answers within seconds; a machine that is replaced within minutes. */
export const FIRST_OUT_MS = 1_000;
export const LONGEST_OUT_MS = 60_000;

export const healthy: Health = { failures: 0, outs: 0, outUntil: null };

/** It failed; one that is out stays out for longer. */
export function failed(health: Health, kind: FailureKind, nowMs: number): Health {
  const failures = health.failures + FAILURE_WEIGHTS[kind];
  if (health.outUntil === null && failures < MOST_FAILURES) return { ...health, failures };
  // Requests that were under way when it was taken out say nothing new.
  if (health.outUntil !== null && nowMs < health.outUntil) return health;
  const outMs = Math.min(FIRST_OUT_MS * 2 ** health.outs, LONGEST_OUT_MS);
  return { failures, outs: health.outs + 1, outUntil: nowMs + outMs };
}

export function takesPart({ outUntil }: Health): boolean {
  return outUntil === null;
}

/** Whether a server that is out is to be tried. */
export function isDue({ outUntil }: Health, nowMs: number): boolean {
  return outUntil !== null && nowMs >= outUntil;
}
