/** How far a run is: what the root workflow's `progress` query answers and every front end draws. */
export interface Progress {
  run: string;
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
  startedAtMs?: number;
  endedAtMs?: number;
}

export type StageName = 'search' | 'linearize' | 'sft' | 'rl' | 'evaluate' | 'report';

/** `reused`: finished by an earlier run with the same content key. */
export type StageState = 'waiting' | 'running' | 'done' | 'reused' | 'failed';
