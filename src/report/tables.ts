import { fixed, percent, percentInterval, points, pointsInterval, pValue } from './format.ts';
import type { Comparison, Score, Summary } from './summary-schema.ts';

/** A table as text: the first row is the header, the first column is aligned left and the others right. */
export type Table = string[][];

export function benchmarksOf(summary: Pick<Summary, 'scores'>): string[] {
  return [...new Set(summary.scores.map((score) => score.benchmark))];
}

export function scoresOf(summary: Pick<Summary, 'scores'>, benchmark: string): Score[] {
  return summary.scores.filter((score) => score.benchmark === benchmark);
}

export function comparisonsOf(summary: Summary, benchmark: string): Comparison[] {
  return summary.comparisons.filter((comparison) => comparison.benchmark === benchmark);
}

export function scoreTable(scores: readonly Score[]): Table {
  return [
    ['checkpoint', 'pass@1', '95 % interval', 'tokens', 'backtracks', 'cut off'],
    ...scores.map((score) => [
      score.checkpoint,
      percent(score.passAt1.value),
      percentInterval(score.passAt1.low, score.passAt1.high),
      fixed(score.tokensPerAnswer, 0),
      fixed(score.backtracksPerAnswer),
      percent(score.truncated),
    ]),
  ];
}

export function comparisonTable(comparisons: readonly Comparison[]): Table {
  return [
    ['difference', 'points', '95 % interval', 'p'],
    ...comparisons.map((comparison) => [
      `${comparison.to} − ${comparison.from}`,
      points(comparison.difference),
      pointsInterval(comparison.low, comparison.high),
      pValue(comparison.pValue),
    ]),
  ];
}

/** How many problems and samples the scores of one benchmark rest on. */
export function sampleSize(scores: readonly Score[]): string {
  const [first] = scores;
  if (!first) return 'no answers';
  return `${first.problems} problems × ${first.samplesPerProblem} ${first.samplesPerProblem === 1 ? 'sample' : 'samples'}`;
}

export function coverage({ covers }: Pick<Summary, 'covers'>): string {
  const sampled = 'Intervals cover the choice of problems and of samples';
  return covers === 'problems and samples'
    ? `${sampled}.`
    : `${sampled}, for one training seed: another seed of training would move the scores too, by an amount this run ` +
        'cannot know.';
}
