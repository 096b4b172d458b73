import type { TrainingArm } from '../records.ts';
import type { Usage } from '../usage.ts';

/** One line of a service's journal: a call that was served, whoever got the answer. */
export interface ServedCall {
  /** The call's id, or one below it where a call became several requests (`<id>/more-1`). */
  id: string;
  /** `<workflow run>/<activity>` that asked; empty where it did not say. */
  activity: string;
  /** Of that activity, from 1. */
  attempt: number;
  promptTokens: number;
  completionTokens: number;
  /** Whether the client still waited when the answer was ready. */
  delivered: boolean;
}

/**
 * What one attempt computes and stores as a whole, or not at all: a search round, an iteration's rollouts, a chunk of
 * answers, a role's answer. All calls that its stored object names were answered to one attempt.
 */
export interface Unit {
  /** Name of the object that credits the calls. */
  result: string;
  /** What its calls' ids are or start with; a unit inside another one is the longer of the two. */
  prefix: string;
  /** The line of the account: a tree's slug, an iteration, a chunk. */
  part: string;
  /** Calls that the stored object was made of, without their requests; null: it is not stored. */
  calls: readonly string[] | null;
  /** Calls that the stored object says got no answer: what was served for parts of them was given up. */
  givenUp?: readonly string[];
  /** What these calls cost by the stored object's own count. */
  usage: Usage;
  /** Stored, and paid for in another account: an earlier run with another problem set made it. */
  elsewhere?: boolean;
}

/** The calls of a stage to one service: what it served and what is stored, and nothing else. */
export interface Account {
  stage: string;
  arm?: TrainingArm;
  /** The stage has its result: what is not stored now was given up, and will not be asked for again. */
  finished: boolean;
  units: readonly Unit[];
  /** In the order served; null: the service keeps no journal. */
  served: readonly ServedCall[] | null;
  /** What attempts that died had been answered and not stored, by part: the estimate where there is no journal. */
  lost?: readonly { part: string; usage: Usage }[];
}

/** What an attempt had been answered and not stored when its last heartbeat was recorded; the next attempt stores it. */
export interface LostCalls {
  schema: 'astroflow.lost-calls/1';
  /** What its calls' ids start with. */
  prefix: string;
  activity: string;
  attempt: number;
  usage: Usage;
}

/** Why a serving is in no stored object. The last one is an error. */
export type WasteReason =
  /** The client had gone when the answer was ready: its attempt was killed, cancelled or out of time. */
  | 'client gone'
  /** The object was stored by another attempt, or paid for by another run. */
  | 'another attempt'
  /** A request of a call of several was asked for again, or any of another server. */
  | 'asked again'
  /** The problem or chunk was given up. */
  | 'given up'
  | 'unexplained';

export interface LedgerError {
  kind: 'credited twice' | 'never served' | 'unexplained';
  stage: string;
  arm?: TrainingArm;
  /** The call's id. */
  call: string;
  message: string;
}

/**
 * Served = credited + wasted + open, call by call and token by token, where there is a journal. Without one the credit
 * is by the stored objects' own count, and `estimated`.
 */
export interface Tally {
  /** Used by a stored object. */
  credited: Usage;
  /** Served and used by nobody. Estimated: what is known of, so at least this. */
  wasted: Usage;
  /** Served, and not settled yet: the stage is not finished and may still store it. Null where nobody knows. */
  open: Usage | null;
  estimated: boolean;
}
