import type { VoteCount } from './language/votes.ts';
import type { TraceEvent } from './linearize.ts';
import type { Verdict } from './problem.ts';
import type { Usage } from './usage.ts';

/** The rows that stages store and later stages read. Each carries its schema, so that a file explains itself. */

export type TrainingArm = 'search' | 'direct';

/** One training text of fine-tuning, as JSON Lines in `linearize/<key>/<arm>.jsonl`. */
export interface SftRow {
  schema: 'astroflow.sft-row/1';
  problemId: string;
  family: string;
  /** Which solution it is: a search row has backtracks, a direct row none. The search arm's data may hold both. */
  arm: TrainingArm;
  promptTokens: number[];
  /** Ends with the end-of-text token. */
  completionTokens: number[];
  /** The completion for people, without special tokens. */
  text: string;
  /** k of the linearisation, and the markers counted in the text: the same number, or the row is rejected. */
  plannedBacktracks: number;
  backtracks: number;
  /** Slug of the tree it was read from. */
  tree: string;
  /** Which model filled which role; `task-rules` and `templates` where none did. */
  roles: { policy: string; narrator: string; judge: string };
  /** SHA-256 of the stored prompts that judge and narrator got; null without either. */
  prompts: string | null;
  plan: RowPlan;
  /** The judge's votes on the right solution; null where the task's rules judged. */
  votes: VoteCount | null;
  /** Events that the narrator was asked for and a template wrote. */
  fallbacks: number;
}

/** The linearisation a text was written from, in short. */
export interface RowPlan {
  /** k as drawn; the tree may hold fewer different wrong answers. */
  requested: number;
  /** Each event with the node it shows, or goes back to. */
  events: [kind: TraceEvent['kind'], node: number][];
}

/** Which server of several answered, by its name, and the version of its weights; each absent where it is not known. */
export interface ServedBy {
  endpoint?: string;
  weights?: string;
}

/** One sampled answer of reinforcement learning, with all that a later method could ask of it. */
export interface RolloutRecord {
  schema: 'astroflow.rollout/1';
  arm: TrainingArm;
  iteration: number;
  problemId: string;
  family: string;
  /** Number of the group inside the iteration (one prompt, one group) and of the answer inside the group. */
  group: number;
  sample: number;
  promptTokens: number[];
  completionTokens: number[];
  /** Log-probability of each completion token as the sampler drew it; as long as `completionTokens`. */
  samplerLogprobs: number[];
  text: string;
  /** The sampler's model that answered: a published checkpoint. */
  policyVersion: string;
  sampling: { temperature: number; maxTokens: number; seed: number };
  reward: number;
  verdict: Verdict;
  /** The task's version: the grader is part of it. */
  graderVersion: number;
  truncated: boolean;
  callId: string;
  /** Attempt of the activity that made the call, from 1. */
  attempt: number;
  /** Absent where there is one server and it does not say which weights it has. */
  servedBy?: ServedBy;
}

/** One sampled answer of an evaluation. */
export interface AnswerRecord {
  schema: 'astroflow.answer/1';
  problemId: string;
  family: string;
  benchmark: string;
  /** Which of the problem's samples, from 0. */
  sample: number;
  /** The checkpoint's name in the run (`base`, `search-rl`) and the sampler's model that answered. */
  checkpoint: string;
  model: string;
  text: string;
  /** Completion tokens. */
  tokens: number;
  stopReason: 'stop' | 'length';
  verdict: Verdict;
  /** Equal classes are equal answers (maj@k); null when the text holds no answer. */
  answerClass: string | null;
  callId: string;
  seed: number;
  /** The task's version: the grader is part of it. Absent in records of before it was kept, like `engine`. */
  graderVersion?: number;
  /** What the server calls itself and its version; absent where it does not say. */
  engine?: string;
  /** As in a rollout record. */
  servedBy?: ServedBy;
  /** Why there is no answer: the service gave none, and a person went on without. Text and tokens are empty then. */
  error?: string;
}

/** What one stage cost and when it ran. A reused stage costs this run nothing; its numbers are those of its making. */
export interface StageUsage {
  name: string;
  arm?: TrainingArm;
  seconds: number;
  calls: number;
  tokens: number;
  /** Tokens that were served and that no stored result credits; null where the service keeps no journal. */
  wastedTokens: number | null;
  /** The same by reason, as the ledger has it; null where the ledger does not know or was too large to read. */
  wastedBy: Record<string, { calls: number; tokens: number }> | null;
  reused: boolean;
  startedAtMs: number;
  endedAtMs: number;
}

/** How many of the problems became training rows, and why the others did not. */
export interface Funnel {
  problems: number;
  trees: number;
  /** Trees with a right terminal. */
  solved: number;
  /** Trees that gave at least one row. */
  valid: number;
  searchRows: number;
  directRows: number;
  /** Reason to count. */
  rejected: Record<string, number>;
  /** What judge and narrator did; absent where neither is a model. */
  language?: LanguageCounts;
}

export interface LanguageCounts {
  /** Right solutions voted on, and those that became ends of traces. */
  judged: number;
  approved: number;
  votes: number;
  /** Votes without a readable verdict: they count as not good. */
  unreadVotes: number;
  /** Events that a narrator was asked for, and those of them that a template wrote in the end. */
  narrated: number;
  fallbacks: number;
  /** Narrated rows that the filter took out, by reason. */
  rejectedRows: Record<string, number>;
  usage: Usage;
}

export const emptyFunnel: Funnel = {
  problems: 0,
  trees: 0,
  solved: 0,
  valid: 0,
  searchRows: 0,
  directRows: 0,
  rejected: {},
};

/** One point of an arm's reinforcement-learning curve. */
export interface RlIteration {
  iteration: number;
  meanReward: number;
  /** Share of answers that are right and finished. */
  passRate: number;
  meanTokens: number;
  /** Share of answers cut off at the token limit. */
  truncated: number;
  backtracksPerAnswer: number;
  /** Groups whose rewards are all equal: they carry no gradient. */
  zeroVarianceGroups: number;
  groups: number;
  /** Mean negative log-probability per sampled token. */
  entropy: number;
  /** Mean |log p(trainer) - log p(sampler)| per completion token; null when nothing was trained on. */
  logprobGap: number | null;
  /** The service's loss, summed over the iteration's steps; null when nothing was trained on. */
  loss: number | null;
  /** The policy that sampled. */
  policyVersion: string;
  /**
   * Attempts that were lost before those that made rollouts and update, and whether the update went on from a model that
   * was made anew from the checkpoint: what a restart looks like in a curve. Absent in updates of before it was kept.
   */
  restarts?: { rollouts: number; update: number; restored: boolean };
}
