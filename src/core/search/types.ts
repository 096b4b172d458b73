import type { ServedBy } from '../records.ts';
import type { Usage } from '../usage.ts';

export type SearchAlgorithm = 'puct' | 'uct' | 'sampling';

export interface SearchParams {
  algorithm: SearchAlgorithm;
  /** Most rounds; a round is expand, roll out, apply. */
  rounds: number;
  /** Leaves expanded in parallel in one round, told apart by virtual loss. */
  leavesPerRound: number;
  /** k: next steps sampled per expanded leaf (the paper's 8). */
  childrenPerLeaf: number;
  /** M: completions per new child (the paper's 16). */
  rolloutsPerChild: number;
  /** Exploration constant of PUCT or UCT. */
  exploration: number;
  /** Deepest node; the paper's 50. */
  maxDepth: number;
  /** Stop a problem early once it has this many distinct sound correct terminals and wrong answers; null: never. */
  enough: { correct: number; wrong: number } | null;
  temperature: number;
  maxStepTokens: number;
  maxRolloutTokens: number;
}

/** Node ids are positions in `SearchTree.nodes`; the root is 0 and parents precede children. */
export interface SearchNode {
  id: number;
  parent: number | null;
  depth: number;
  /** The step's text and token ids as sampled; empty for the root. */
  text: string;
  tokens: number[];
  /** Prior of the edge into this node among its siblings; 1 for the root. */
  prior: number;
  /** Length-normalised log-probability the prior came from. */
  meanLogprob: number;
  /** Times sampled: textually equal children merge. */
  multiplicity: number;
  /** N(S): 1 when it is created and evaluated, plus one per later visit. */
  visits: number;
  /** Q of the edge into this node, in [0, 1] (ASTRO's backup). */
  value: number;
  /** R(S): mean verdict of its rollouts, or its own verdict when terminal (Eq. 2). */
  reward: number;
  children: number[];
  terminal: null | Terminal;
  /** Completions from this node to the end: cached side data that also feeds the sampling arms, never nodes. */
  rollouts: Rollout[];
}

/** The verdict on a finished attempt. */
export interface Terminal {
  correct: boolean | 'unknown';
  answer?: string;
  /** The task's class of that answer; absent when there is none. */
  answerClass?: string;
  /** Whether the task's self-evaluation found nothing false in it. */
  sound: boolean;
}

export interface Rollout {
  text: string;
  correct: boolean | 'unknown';
  answer?: string;
  tokens: number;
}

export interface SearchTree {
  problemId: string;
  /** Rounds folded in so far. */
  rounds: number;
  nodes: SearchNode[];
  usage: Usage;
}

/** One leaf to expand: sample `count` next steps after its path. Pure output of `askExpand`. */
export interface ExpandAsk {
  node: number;
  steps: string[];
  tokens: number[];
  stops: string[];
  count: number;
}

/** One sampled step. */
export interface SampledStep {
  text: string;
  tokens: number[];
  /** Per token; absent when the server gives none (priors are then uniform). */
  logprobs?: number[];
}

/** A new child after merging equal texts, waiting for its rollouts. Pure output of `askRollout`. */
export interface RolloutAsk {
  /** Index of the expansion and of the child inside it: stable inside one round. */
  expansion: number;
  child: number;
  tokens: number[];
  steps: string[];
  count: number;
}

/** Everything one round asked and got: immutable, stored once, enough to rebuild the tree by folding. */
export interface SearchRound {
  schema: 'astroflow.search-round/1';
  round: number;
  expansions: Expansion[];
  /** Terminals (and nodes at the depth limit) that selection came to again: each counts a visit, without a call. */
  revisits: number[];
  /** Credited calls of this round, for the ledger. */
  calls: string[];
  usage: Usage;
  /** Who served each call; absent where there is one server and it does not say which weights it has. */
  served?: ServedCompletions[];
}

/** Completions of a call that one server gave with one version of the weights. */
export interface ServedCompletions extends ServedBy {
  call: string;
  completions: number;
}

/** What one expanded leaf got. */
export interface Expansion {
  node: number;
  children: NewChild[];
}

/** A merged child as one round records it. */
export interface NewChild {
  text: string;
  tokens: number[];
  meanLogprob: number;
  multiplicity: number;
  /** Plain sampling only: the steps of a whole solution, which becomes a chain of nodes. Their join is `text`. */
  steps?: string[];
  terminal: SearchNode['terminal'];
  rollouts: Rollout[];
}
