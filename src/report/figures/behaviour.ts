import type { Summary } from '../summary-schema.ts';
import { benchmarksOf, sampleSize, scoresOf } from '../tables.ts';
import type { Figure } from './figure.ts';
import { outcomeFigure } from './outcomes.ts';
import { revisionsFigure } from './revisions.ts';

/**
 * How checkpoints search in their own output, on the first benchmark; the tables have all benchmarks. None where no
 * checkpoint ever goes back.
 */
export function behaviourFigures(summary: Summary): Figure[] {
  const [benchmark] = benchmarksOf(summary);
  if (benchmark === undefined || summary.scores.every(({ backtracked }) => backtracked === 0)) return [];
  const scores = scoresOf(summary, benchmark);
  const size = `${benchmark}, ${sampleSize(scores)}`;
  const revised = scores.filter(({ revisions }) => revisions !== null);
  return [
    ...(revised.length > 0 ? [revisionsFigure(summary, revised, size)] : []),
    outcomeFigure({
      id: 'behaviour-backtracks',
      title: 'Backtracks by outcome',
      what: 'Mean times that an answer goes back, of answers that end right and of those that end wrong or are cut off',
      size,
      scores,
      all: summary.scores,
      right: ({ backtracksWhenRight }) => backtracksWhenRight,
      wrong: ({ backtracksWhenWrong }) => backtracksWhenWrong,
    }),
    ...(revised.length > 0
      ? [
          outcomeFigure({
            id: 'behaviour-repeated',
            title: 'Repeated wrong answers',
            what: 'Mean number of wrong answers that an answer had already stated before, by how it ends',
            size,
            scores: revised,
            all: summary.scores,
            right: ({ revisions }) => revisions?.whenRight?.repeatedWrong ?? null,
            wrong: ({ revisions }) => revisions?.whenWrong?.repeatedWrong ?? null,
          }),
        ]
      : []),
  ];
}
