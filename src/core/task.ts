import type { Json, Message, Problem, Verdict } from './problem.ts';

/** What a step looks like, in the words of Sec. 2.4 of the paper, for the template writer of traces. */
export interface TracePhrases<P extends Problem = Problem> {
  /** The text of a wrong attempt's last step as a trace shows it, without its claimed final answer. */
  withoutAnswer(step: string): string;
  /** Emitted where the trace goes back to a proper ancestor of the failed attempt. `steps` lead to that ancestor. */
  backtrack(problem: P, steps: readonly string[]): string;
  /** Emitted where that ancestor is the root. */
  restart(problem: P): string;
  /** Emitted after an intermediate step whose value is high: the same reflection with a positive verdict. */
  reflectPositive(problem: P, steps: readonly string[]): string;
  /** Emitted after the final answer where positive reflections are on; left out by tasks whose text ends there. */
  reflectAnswer?(problem: P): string;
  /** Text that appears exactly once for every backtrack or restart: what behaviour statistics count. */
  backtrackMarker: string;
}

/**
 * Everything domain-specific, in one file per domain. All methods are pure. A solution is its steps joined: steps
 * carry their own separators, so `steps.join('')` is the text and no text is ever tokenised twice.
 */
export interface Task<P extends Problem = Problem> {
  name: string;
  /** Raised whenever a change alters what the task produces: it is part of every content key. */
  version: number;
  /** One parsed JSON Lines row into a problem. @throws ProblemRowError when the row cannot be used. */
  parseRow(row: Json): P;
  /** Seeded problems of one split. @throws RangeError when the options ask for more problems than exist. */
  generate(options: GenerateOptions): P[];
  /** What makes two problems the same: splits are disjoint by it. Sorted numbers for Countdown. */
  family(problem: P): string;
  prompt(problem: P): Message[];
  /**
   * Stop strings for sampling the step after `steps`, or an empty list when the next step runs to the end of the
   * answer (and so is terminal). The matched stop string belongs to the step.
   */
  stepStops(problem: P, steps: readonly string[]): string[];
  /** Splits a whole sampled solution into the steps that step-wise sampling would have produced. */
  splitSteps(problem: P, text: string): string[];
  isTerminal(problem: P, steps: readonly string[]): boolean;
  /** Grades a whole text: the answer it ends in against the problem. Never throws, never evaluates code. */
  verify(problem: P, text: string): Verdict;
  /** Answers in one class count as the same answer (maj@k, "no wrong answer twice"). */
  answerClass(problem: P, answer: string): string;
  /**
   * Whether the steps say nothing false about themselves (each equation holds, nothing is used twice). The rule-based
   * counterpart of the paper's self-evaluation votes (Sec. 2.3): only sound solutions become traces, right or wrong.
   */
  isSound(problem: P, steps: readonly string[]): boolean;
  phrases: TracePhrases<P>;
}

export interface GenerateOptions {
  split: string;
  count: number;
  seed: number;
  /** The task's own options, already validated by its schema in the configuration. */
  options: Json;
}
