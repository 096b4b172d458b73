import type { z } from 'zod';
import type { Json, Message, Problem, Verdict } from './problem.ts';
import type { Random } from './seed.ts';

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
  /** What a narrator's words must fit into; left out by tasks whose traces only templates can write. */
  narration?: NarrationPhrases;
}

/** The fixed sentences around what a narrator writes (Sec. 2.4), and what its own sentences must begin with. */
export interface NarrationPhrases {
  /** Stands before either verdict. */
  reflection: string;
  positive: string;
  negative: string;
  backtrackOpening: string;
  restartOpening: string;
  /** What a final answer opens with; a narrated text holds these in its last step only. */
  answerOpenings: readonly string[];
  /** A written sentence as the whole of a backtrack or restart: reflection, negative verdict, sentence. */
  goBack(sentence: string): string;
}

/**
 * Everything domain-specific, in one file per domain. All methods are pure. A solution is its steps joined: steps
 * carry their own separators, so `steps.join('')` is the text and no text is ever tokenised twice.
 */
export interface Task<P extends Problem = Problem> {
  name: string;
  /** Raised whenever a change alters what the task produces: it is part of every content key. */
  version: number;
  /**
   * One parsed JSON Lines row into a problem.
   * @throws ProblemRowError when the row is wrong; UnusableProblem when it is well-formed but nothing can be checked
   */
  parseRow(row: Json): P;
  /** Seeded problems of one split. @throws RangeError when the options ask for more problems than exist. */
  generate(options: GenerateOptions): P[];
  /** What makes two problems the same: splits are disjoint by it. Sorted numbers for Countdown. */
  family(problem: P): string;
  /**
   * Equal for problems that are the same though their statements are not: numbers in another order, a relabelled puzzle.
   * Left out: equal statements alone are the same problem.
   */
  identity?(problem: P): string;
  /**
   * How problems resemble each other, closest first and the family at the head: what "problems like this one" means.
   * Left out: the family alone. For people who ask where an answer comes from.
   */
  kinds?(problem: P): ProblemKind[];
  /** The problem in words, without instructions or examples: what titles and the overlap check look at. */
  statement(problem: P): string;
  /** A last message of the assistant is the beginning of its answer, which sampling continues. */
  prompt(problem: P): Message[];
  /**
   * Stop strings for sampling the step after `steps`, or an empty list when the next step runs to the end of the
   * answer (and so is terminal).
   */
  stepStops(problem: P, steps: readonly string[]): string[];
  /** Whether a matched stop string is the step's end; if not it is the next step's beginning, cut away and sampled anew. */
  keepsStop: boolean;
  /** Strings that end a whole answer and are no part of it: where a few-shot prompt's next problem would begin. */
  answerStops: readonly string[];
  /** Splits a whole sampled solution into the steps that step-wise sampling would have produced. */
  splitSteps(problem: P, text: string): string[];
  isTerminal(problem: P, steps: readonly string[]): boolean;
  /** Grades a whole text: the answer it ends in against the problem. Never throws, never evaluates code. */
  verify(problem: P, text: string, use?: VerdictUse): Verdict;
  /**
   * Grades an attempt that the text goes back from, where `verify` would not see its answer: a trace shows a failed
   * attempt without its box. `before` is the text up to the attempt, the line that goes back included. Null, or left
   * out: `verify` says. For statistics of behaviour only.
   */
  readAttempt?(problem: P, before: string, attempt: string): Verdict | null;
  /** Answers in one class count as the same answer (maj@k, "no wrong answer twice"). */
  answerClass(problem: P, answer: string): string;
  /**
   * Whether the steps say nothing false about themselves (each equation holds, nothing is used twice). The rule-based
   * counterpart of the paper's self-evaluation votes (Sec. 2.3): only sound solutions become traces, right or wrong.
   */
  isSound(problem: P, steps: readonly string[]): boolean;
  phrases: TracePhrases<P>;
  /**
   * The rest of a text as a scripted model writes it, for runs without a model: well-formed, sometimes right. `text`
   * starts with the prompt's and may hold steps already; null when it is not of this task.
   *
   * @param retries most times that the answer goes back after a wrong attempt
   */
  script(text: string, random: Random, retries: number): string | null;
}

/**
 * What a verdict is for. A `reward` shapes a model and a tree, so what could be gamed pays nothing; a `score` may be as
 * lenient as the field is (a ten-digit decimal for an irrational answer). Tasks with exact answers know no difference.
 */
export type VerdictUse = 'reward' | 'score';

/** One way to be alike: problems with equal values are alike in it. */
export interface ProblemKind {
  /** Said of another problem: "the same numbers". */
  name: string;
  value: string;
}

/** What a problem can be like, closest first. */
export const kindsOf = (task: Task, problem: Problem): ProblemKind[] =>
  task.kinds?.(problem) ?? [{ name: 'the same family', value: task.family(problem) }];

/** A task as a configuration names it. `options` validates its section, `name` included, and writes defaults out. */
export interface TaskDefinition<Options extends TaskOptions = TaskOptions> {
  name: Options['name'];
  options: z.ZodType<Options>;
  create(options: Options): Task;
}

export interface TaskOptions {
  name: string;
  [option: string]: Json;
}

export interface GenerateOptions {
  split: string;
  count: number;
  seed: number;
}
