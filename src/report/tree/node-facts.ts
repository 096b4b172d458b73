import type { SearchNode } from '../../core/search/types.ts';
import { fixed } from '../format.ts';

/** What a person learns of a node who asks for it; texts are as the model wrote them, so not to be trusted. */
export interface NodeFacts {
  id: number;
  parent: number | null;
  depth: number;
  text: string;
  /** N, Q, the prior of the edge into it, and R. */
  visits: number;
  value: number;
  prior: number;
  reward: number;
  /** Times that this very step was sampled. */
  multiplicity: number;
  /** Completions from here, and how many of them are right. */
  rollouts: number;
  rolloutsRight: number;
  outcome: 'right' | 'wrong' | 'unknown' | null;
  answer: string | null;
  /** False where a finished attempt says something false about itself: no trace is made of it. */
  sound: boolean | null;
}

export function nodeFacts(node: SearchNode): NodeFacts {
  const { id, parent, depth, text, visits, value, prior, reward, multiplicity, rollouts, terminal } = node;
  return {
    id,
    parent,
    depth,
    text,
    visits,
    value,
    prior,
    reward,
    multiplicity,
    rollouts: rollouts.length,
    rolloutsRight: rollouts.filter((rollout) => rollout.correct === true).length,
    outcome: terminal === null ? null : outcomeOf(terminal.correct),
    answer: terminal?.answer ?? null,
    sound: terminal?.sound ?? null,
  };
}

const outcomeOf = (correct: boolean | 'unknown') => (correct === 'unknown' ? 'unknown' : correct ? 'right' : 'wrong');

/** The mark of a finished attempt; nothing for other nodes. */
export const outcomeMark = (outcome: NodeFacts['outcome']): string =>
  outcome === null ? '' : { right: '✓', wrong: '✗', unknown: '?' }[outcome];

/** A node in a line, for labels that are read aloud. */
export function nodeLabel(facts: NodeFacts): string {
  const { text, visits, value, prior, outcome } = facts;
  const step = facts.parent === null ? 'start' : oneLine(text, 80);
  const end = outcome === null ? '' : `, ends ${outcome === 'unknown' ? 'undecided' : outcome}`;
  return `${step}: ${visits} ${visits === 1 ? 'visit' : 'visits'}, Q ${fixed(value, 2)}, prior ${fixed(prior, 2)}${end}`;
}

/** The first words of a text of any length. */
export function oneLine(text: string, most: number): string {
  const line = text
    .slice(0, most * 4)
    .replace(/\s+/g, ' ')
    .trim();
  return line.length > most ? `${line.slice(0, most - 1).trimEnd()}…` : line;
}
