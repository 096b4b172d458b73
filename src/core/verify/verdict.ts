import type { Budget } from './limits.ts';

/** `unknown` pays nothing: the checker could not tell. `reason` is for people. */
export interface Verdict {
  equal: true | false | 'unknown';
  reason: string;
}

/** What a comparison carries along. */
export interface Options {
  strict: boolean;
  budget: Budget;
}

export const equal = (reason: string): Verdict => ({ equal: true, reason });
export const different = (reason: string): Verdict => ({ equal: false, reason });
export const unknown = (reason: string): Verdict => ({ equal: 'unknown', reason });
