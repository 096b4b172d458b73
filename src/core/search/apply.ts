import { addUsage } from '../usage.ts';
import { backup, rewardOf } from './backup.ts';
import { priors } from './prior.ts';
import { isExpandable } from './select.ts';
import { createTree, newNode, nodeAt, terminals } from './tree.ts';
import type { Expansion, NewChild, SearchNode, SearchParams, SearchRound, SearchTree } from './types.ts';

/**
 * The tree after a round. Pure: the given tree stays as it is.
 * @throws RangeError when the round is not the next one of this tree or names a node that it lacks.
 */
export function applyRound(tree: SearchTree, round: SearchRound, params: SearchParams): SearchTree {
  if (round.round !== tree.rounds) {
    throw new RangeError(`Round ${round.round} cannot follow ${tree.rounds} rounds: fold the rounds in order, from 0.`);
  }
  const nodes = tree.nodes.map((node) => ({ ...node, children: [...node.children] }));
  for (const id of round.revisits) backup(nodes, id);
  for (const expansion of round.expansions) expand(nodes, expansion, params);
  return { ...tree, nodes, rounds: tree.rounds + 1, usage: addUsage(tree.usage, round.usage) };
}

/** A tree is a fold of its rounds: the same as applying them one by one. */
export function foldRounds(problemId: string, rounds: readonly SearchRound[], params: SearchParams): SearchTree {
  return rounds.reduce((tree, round) => applyRound(tree, round, params), createTree(problemId));
}

/** No more rounds, nothing left to expand, or enough different sound answers of both kinds. */
export function isFinished(tree: SearchTree, params: SearchParams): boolean {
  if (tree.rounds >= params.rounds) return true;
  if (params.algorithm !== 'sampling' && !tree.nodes.some((node) => isExpandable(node, params))) return true;
  return params.enough !== null && hasEnough(tree, params.enough);
}

/** Counts answer classes of sound terminals, since only those can become traces. */
function hasEnough(tree: SearchTree, enough: { correct: number; wrong: number }): boolean {
  const sound = terminals(tree).flatMap(({ terminal }) => (terminal?.sound ? [terminal] : []));
  const classes = (correct: boolean) =>
    new Set(sound.flatMap((t) => (t.correct === correct && t.answerClass !== undefined ? [t.answerClass] : []))).size;
  return classes(true) >= enough.correct && classes(false) >= enough.wrong;
}

function expand(nodes: SearchNode[], expansion: Expansion, params: SearchParams): void {
  const parents = new Set<number>();
  for (const child of expansion.children) {
    const leaf = attach(nodes, expansion.node, child, parents);
    // One backup per new child; in plain sampling every sample is a visit, so that Q is the mean verdict.
    backup(nodes, leaf, params.algorithm === 'sampling' ? child.multiplicity : 1);
  }
  for (const id of parents) {
    const siblings = nodeAt(nodes, id).children.map((sibling) => nodeAt(nodes, sibling));
    const shares = priors(siblings.map((sibling) => sibling.meanLogprob));
    for (const [i, sibling] of siblings.entries()) sibling.prior = shares[i] as number;
  }
}

/** Adds a child, or a chain of them, below a node; steps that exist there already are reused. Returns the last node. */
function attach(nodes: SearchNode[], under: number, child: NewChild, parents: Set<number>): number {
  let parent = nodeAt(nodes, under);
  for (const text of child.steps ?? [child.text]) {
    let node = parent.children.map((id) => nodeAt(nodes, id)).find((sibling) => sibling.text === text);
    if (node === undefined) {
      node = newNode({ id: nodes.length, parent: parent.id, depth: parent.depth + 1, text });
      nodes.push(node);
      parent.children.push(node.id);
      parents.add(parent.id);
    }
    node.multiplicity += child.multiplicity;
    parent = node;
  }
  parent.tokens = child.tokens;
  parent.meanLogprob = child.meanLogprob;
  parent.terminal = child.terminal;
  parent.rollouts = child.rollouts;
  parent.reward = rewardOf(child);
  return parent.id;
}
