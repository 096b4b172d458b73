/**
 * Caps that hold before anything is computed. Model output is hostile input: a tower of powers, a factorial or a
 * megabyte of brackets must cost no more than an ordinary answer, and the cost must not depend on a clock.
 */

/** Longer texts are not parsed. Room for a number of 16,000 digits with its separators. */
export const MAX_CHARACTERS = 30_000;
export const MAX_TOKENS = 2_000;
/** Nesting of brackets, powers, roots and signs; bounds every recursion. */
export const MAX_DEPTH = 200;
export const MAX_DIGITS = 16_000;
/** Numerator or denominator of an exact value. What is larger is computed as a bounded approximation. */
export const MAX_BITS = 1 << 16;
/** Largest working precision of an approximation. Values which agree that far and are not known equal: unknown. */
export const MAX_PRECISION = 4_096;
/** About 0.1 µs each on a current core, so that no check takes much longer than 20 ms. */
export const OPERATIONS = 100_000;

/**
 * A cap was reached; the check ends as "unknown". Never leaves `src/core/verify`. No `Error`, which would record a
 * stack: a tower of powers meets thousands of these.
 */
export class LimitError {
  readonly message: string;
  constructor(message: string) {
    this.message = message;
  }
}

/** The value does not exist: division by zero, logarithm of zero, a root that is not real. */
export class UndefinedError {
  readonly message: string;
  constructor(message: string) {
    this.message = message;
  }
}

/** What one check may still spend, and the powers it found too large for exact arithmetic. */
export interface Budget {
  left: number;
  tooLarge: WeakSet<object>;
  /** π and ln 2 at the widest precision needed so far. */
  pi: Fixed | null;
  ln2: Fixed | null;
}

/** value · 2^-width */
export interface Fixed {
  value: bigint;
  width: number;
}

export function newBudget(): Budget {
  return { left: OPERATIONS, tooLarge: new WeakSet(), pi: null, ln2: null };
}

/** @throws LimitError when nothing is left. */
export function spend(budget: Budget, cost = 1): void {
  budget.left -= cost;
  if (budget.left < 0) throw new LimitError('it takes too many operations');
}

/** A text that is not an answer this checker reads. Never leaves `src/core/verify`. */
export class ParseError extends Error {}

/** A text with two readings; it is not guessed which one is meant. */
export class AmbiguousError extends ParseError {}
