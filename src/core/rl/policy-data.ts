import type { RolloutRecord } from '../records.ts';
import { groupAdvantages, isUniform, normalizedAdvantages } from './advantages.ts';

/** One answer as the trainer takes it: three arrays of one length, about each token as a target, zero on the prompt. */
export interface PolicyDatum {
  tokens: number[];
  logprobs: number[];
  advantages: number[];
}

/** The data of one optimiser step, and where in each datum the completion starts. */
export interface PolicyBatch {
  data: PolicyDatum[];
  completionStarts: number[];
}

type Answer = Pick<RolloutRecord, 'group' | 'promptTokens' | 'completionTokens' | 'samplerLogprobs' | 'reward'>;

/**
 * One iteration's answers as optimiser steps: grouped by prompt, uniform groups left out, whole groups dealt to at
 * most `stepsPerIteration` batches, and each batch normalised by its own number of answers. No batch is empty; when
 * all groups are uniform there is none, and the iteration trains on nothing.
 */
export function buildPolicyBatches(
  rollouts: readonly Answer[],
  options: { lengthNormalizer: number; stepsPerIteration: number },
): PolicyBatch[] {
  const informative = groupRollouts(rollouts).filter((group) => !isUniform(group.map((answer) => answer.reward)));
  return splitBatches(informative, options.stepsPerIteration).map((groups) =>
    buildPolicyData(groups.flat(), options.lengthNormalizer),
  );
}

/** Answers by their group's number, in the order of first appearance. */
export function groupRollouts<T extends { group: number }>(rollouts: readonly T[]): T[][] {
  const groups = new Map<number, T[]>();
  for (const rollout of rollouts) {
    const group = groups.get(rollout.group);
    if (group) group.push(rollout);
    else groups.set(rollout.group, [rollout]);
  }
  return [...groups.values()];
}

/**
 * The data of one optimiser step. Answers of uniform groups are left out and do not count in the normalisation.
 * @throws RangeError when an answer has no log-probability for each of its tokens.
 */
export function buildPolicyData(rollouts: readonly Answer[], lengthNormalizer: number): PolicyBatch {
  const groups = groupRollouts(rollouts).filter((group) => !isUniform(group.map((answer) => answer.reward)));
  const answers = groups.flat();
  const advantages = groups.flatMap((group) => groupAdvantages(group.map((answer) => answer.reward)));
  const perToken = normalizedAdvantages(advantages, lengthNormalizer);
  return {
    data: answers.map((answer, index) => policyDatum(answer, perToken[index] ?? 0)),
    completionStarts: answers.map((answer) => answer.promptTokens.length),
  };
}

function policyDatum(answer: Answer, advantage: number): PolicyDatum {
  const { promptTokens, completionTokens, samplerLogprobs } = answer;
  if (samplerLogprobs.length !== completionTokens.length) {
    throw new RangeError(
      `an answer of ${completionTokens.length} tokens has ${samplerLogprobs.length} log-probabilities: ` +
        'sample with log-probabilities to train on the answers',
    );
  }
  const zeros = promptTokens.map(() => 0);
  return {
    tokens: [...promptTokens, ...completionTokens],
    logprobs: [...zeros, ...samplerLogprobs],
    advantages: [...zeros, ...completionTokens.map(() => advantage)],
  };
}

/** Contiguous parts whose sizes differ by at most one; fewer than `parts` when there are fewer items, never an empty one. */
export function splitBatches<T>(items: readonly T[], parts: number): T[][] {
  const count = Math.min(parts, items.length);
  return Array.from({ length: count }, (_, part) =>
    items.slice(Math.floor((part * items.length) / count), Math.floor(((part + 1) * items.length) / count)),
  );
}
