import type { AcrossSeeds } from '../core/stats/seeds.ts';
import { alignColumns } from '../report/columns.ts';
import { percent, percentInterval, points, pointsInterval } from '../report/format.ts';
import type { SeedsCompared } from './compare-seeds.ts';

/** The spread between seeds for a terminal. */
export function seedsText({ runs, scores, comparisons, alsoDiffers }: SeedsCompared): string {
  const benchmarks = [...new Set(scores.map(({ benchmark }) => benchmark))];
  const sd = ({ sd: spread }: AcrossSeeds) => (spread === null ? 'n/a' : (spread * 100).toFixed(1));
  return [
    `${runs.length} training seeds: ${runs.map(({ run, seed }) => `${run} (${seed})`).join(', ')}`,
    ...(alsoDiffers.length > 0 ? [`! These differ as well, and are in the spread: ${alsoDiffers.join(', ')}.`] : []),
    ...benchmarks.flatMap((benchmark) => [
      '',
      benchmark,
      ...alignColumns([
        ['checkpoint', 'mean', '95 % interval', 'between seeds', 'each'],
        ...scores
          .filter((score) => score.benchmark === benchmark)
          .map((score) => [
            score.checkpoint,
            percent(score.mean),
            percentInterval(score.low ?? 0, score.high ?? 0),
            sd(score),
            score.values.map((value) => (value * 100).toFixed(1)).join(' '),
          ]),
        ...comparisons
          .filter((comparison) => comparison.benchmark === benchmark)
          .map((comparison) => [
            `${comparison.to} − ${comparison.from}`,
            points(comparison.mean),
            pointsInterval(comparison.low ?? 0, comparison.high ?? 0),
            sd(comparison),
            comparison.values.map(points).join(' '),
          ]),
      ]),
    ]),
    '',
    'Intervals (95 %) are Student’s t over the seeds, so they cover the training seed. "Between seeds" is the standard ' +
      'deviation in points; the noise of each run’s own problems and samples is part of it.',
  ].join('\n');
}
