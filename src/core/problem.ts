/** A value that survives JSON unchanged. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/**
 * A problem with a checkable answer. `data` belongs to the task that parsed it (numbers and target for Countdown,
 * the question text for maths); nothing outside the task looks inside.
 */
export interface Problem<Data extends Json = Json> {
  /** Unique inside its problem set and stable from run to run. */
  id: string;
  data: Data;
}

export interface Message {
  role: 'system' | 'user' | 'assistant';
  content: string;
}

/** `unknown` pays nothing and is counted: the checker could not decide. */
export interface Verdict {
  correct: boolean | 'unknown';
  /** The extracted answer; absent when the text holds none. */
  answer?: string;
  /** Why, for a person: "makes 38, not 39", "no boxed answer". */
  reason: string;
}

/** A data row that the task cannot use. The reader adds file and line. */
export class ProblemRowError extends Error {}

/** A well-formed row whose reference answer cannot be checked: the problem is left out, listed and counted. */
export class UnusableProblem extends Error {}
