import { protocolHash } from '../core/protocol.ts';
import { deriveSeed } from '../core/seed.ts';
import { holm } from '../core/stats/holm.ts';
import { pairedDifference } from '../core/stats/paired.ts';
import { type Evaluation, problemScores } from './scores.ts';
import type { Comparison } from './summary-schema.ts';

/**
 * What is compared, where both checkpoints exist: the headline; the paper's claim in miniature (reinforcement learning
 * gains more from a search prior); what it adds to fine-tuning; the control's own gain; the search prior itself.
 */
const COMPARISONS: readonly (readonly [from: string, to: string])[] = [
  ['base', 'search-rl'],
  ['direct-rl', 'search-rl'],
  ['search-sft', 'search-rl'],
  ['base', 'direct-rl'],
  ['direct-sft', 'search-sft'],
];

export interface CompareOptions {
  seed: number;
  bootstrapSamples: number;
}

/** The comparisons inside one run. */
export function comparisonsWithin(evaluations: readonly Evaluation[], options: CompareOptions): Comparison[] {
  return COMPARISONS.flatMap(([from, to]) => {
    const of = (name: string) => evaluations.filter(({ checkpoint }) => checkpoint === name);
    return comparePair({ name: from, evaluations: of(from) }, { name: to, evaluations: of(to) }, options);
  });
}

/** One side of a comparison: a checkpoint's evaluations, one for each benchmark. */
export interface Side {
  name: string;
  evaluations: readonly Evaluation[];
}

/** `to` minus `from` on every benchmark that both have, in the order of `from`; p-values corrected over these. */
export function comparePair(from: Side, to: Side, options: CompareOptions): Comparison[] {
  const compared = from.evaluations.flatMap((before) => {
    const after = to.evaluations.find(({ benchmark }) => benchmark === before.benchmark);
    if (after === undefined) return [];
    const { benchmark } = before;
    const seed = deriveSeed(options.seed, 'compare', from.name, to.name, benchmark);
    const difference = pairedDifference(problemScores(before.answers), problemScores(after.answers), {
      seed,
      samples: options.bootstrapSamples,
    });
    return [{ from: from.name, to: to.name, benchmark, ...difference, sameProtocol: isSameProtocol(before, after) }];
  });
  const corrected = holm(compared.map(({ pValue }) => pValue));
  return compared.map((comparison, i) => ({ ...comparison, pHolm: corrected[i] ?? 1 }));
}

function isSameProtocol(a: Evaluation, b: Evaluation): boolean | null {
  if (a.protocol === undefined || b.protocol === undefined) return null;
  return protocolHash(a.protocol) === protocolHash(b.protocol);
}
