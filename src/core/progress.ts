/** How far a run is: what the root workflow's `progress` query answers and every front end draws. */
export interface Progress {
  run: string;
  /** Whom `pause`, `resume` and `resolve` are sent to. Absent in runs that began before there were such. */
  workflowId?: string;
  /** Nothing new is begun until `resume`; what is under way finishes. */
  paused?: boolean;
  /** In the order in which a person should read them. */
  stages: StageProgress[];
  /** Something waits for a person: what, and what to do about it. */
  attention?: string;
}

export interface StageProgress {
  name: StageName;
  arm?: string;
  state: StageState;
  done: number;
  /** 0 while unknown. */
  total: number;
  /** What `done` and `total` count: `problems`, `steps`, `iterations`. */
  unit: string;
  /** Tokens sampled or trained on so far. */
  tokens: number;
  note?: string;
  /** Reinforcement learning: the sampler's model that answers now, a published checkpoint. */
  policy?: string;
  /** In the state `attention`: what is asked. */
  attention?: Attention | undefined;
  /** Orders the news of a stage, which may overtake each other. */
  revision?: number;
  startedAtMs?: number;
  endedAtMs?: number;
}

export type StageName = 'search' | 'linearize' | 'sft' | 'rl' | 'evaluate' | 'report';

/**
 * `reused`: finished by an earlier run with the same content key. `attention`: waits for `resolve`. `begun`: partly
 * stored, where only the store was asked, which does not know whether anybody works on it.
 */
export type StageState = 'waiting' | 'begun' | 'running' | 'paused' | 'attention' | 'done' | 'reused' | 'failed';

/** Begun and not ended. */
export function isUnderWay(state: StageState): boolean {
  return state === 'running' || state === 'paused' || state === 'attention';
}

/** What a person can answer when a step failed for good: `resolve({ action })`. */
export const resolutions = ['retry', 'skip', 'abort'] as const;
export type Resolution = (typeof resolutions)[number];

/** A step that failed for good, put before a person instead of failing the run. */
export interface Attention {
  /** The step: `steps 76 to 150`. */
  what: string;
  /** Its failure, type first. */
  why: string;
  /** Since when; also tells one question of a stage from another. */
  sinceMs: number;
  /** What each possible answer does. */
  offers: Partial<Record<Resolution, string>>;
  /** Why an answer is not possible here. */
  refuses: Partial<Record<Resolution, string>>;
}
