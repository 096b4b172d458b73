import * as Plot from '@observablehq/plot';
import { percent } from '../format.ts';
import type { Score, Summary } from '../summary-schema.ts';
import { checkpointRows } from './checkpoint-rows.ts';
import { colour } from './colours.ts';
import { type Cell, type Figure, isNarrow, type LegendEntry } from './figure.ts';
import { countCell, fixedCell, percentCell } from './numbers.ts';
import { plotSvg } from './plot.ts';

interface Part {
  label: string;
  tint: string;
  share: (score: Score) => number;
}

const all = ({ revisions }: Score) => revisions?.all;

/** Every answer is in one of these. */
const parts: readonly Part[] = [
  {
    label: 'right from its first answer on',
    tint: colour('right'),
    share: (score) => (all(score)?.firstRight ?? 0) - (all(score)?.harmfulRevisions ?? 0),
  },
  {
    label: 'recovered: wrong first, right in the end',
    tint: colour('search'),
    share: (score) => all(score)?.recoveries ?? 0,
  },
  {
    label: 'made worse: right first, wrong in the end',
    tint: colour('wrong'),
    share: (score) => all(score)?.harmfulRevisions ?? 0,
  },
  {
    label: 'wrong throughout, or cut off',
    tint: colour('line'),
    share: (score) => Math.max(0, 1 - (all(score)?.firstRight ?? 0) - (all(score)?.recoveries ?? 0)),
  },
];

/** First answers against last ones: what going back gains and loses. */
export function revisionsFigure(summary: Summary, scores: readonly Score[], size: string): Figure {
  const alt = `What going back comes to. ${scores
    .map(
      (score) =>
        `${score.checkpoint}: ${parts.map(({ label, share }) => `${percent(share(score))} ${label}`).join(', ')}`,
    )
    .join('; ')}.`;
  return {
    id: 'behaviour-revisions',
    title: 'What going back comes to',
    caption:
      `Answers by their first stated answer and their last (${size}). An answer is cut into attempts behind each ` +
      'backtrack; one that is cut off counts as wrong in the end. Green and blue together are the score. No intervals: ' +
      'that of the score is in the score table.',
    alt,
    legend: parts.map(({ label, tint }): LegendEntry => ({ label, colour: tint, symbol: 'bar' })),
    table: {
      head: [
        'checkpoint',
        'benchmark',
        'answers',
        'first right',
        'recoveries',
        'harmful revisions',
        'attempts',
        'state an answer',
        'repeated wrong',
      ],
      rows: summary.scores.flatMap((score) => revisionRows(score)),
    },
    draw: (width) => plotSvg(revisionOptions(scores, width), alt),
  };
}

function revisionRows({ checkpoint, benchmark, revisions }: Score): Cell[][] {
  const outcomes = [
    ['all', revisions?.all],
    ['ends right', revisions?.whenRight],
    ['ends wrong', revisions?.whenWrong],
  ] as const;
  return outcomes.flatMap(([outcome, numbers]) =>
    numbers === undefined || numbers === null
      ? []
      : [
          [
            `${checkpoint}, ${outcome}`,
            benchmark,
            countCell(numbers.answers),
            percentCell(numbers.firstRight),
            percentCell(numbers.recoveries),
            percentCell(numbers.harmfulRevisions),
            fixedCell(numbers.attempts, 2),
            fixedCell(numbers.stated, 2),
            fixedCell(numbers.repeatedWrong, 2),
          ],
        ],
  );
}

interface Segment {
  checkpoint: string;
  from: number;
  to: number;
  tint: string;
  text: string;
}

function revisionOptions(scores: readonly Score[], width: number): Plot.PlotOptions {
  const segments = scores.flatMap((score) => {
    let from = 0;
    return parts.map(({ tint, share }): Segment => {
      const start = from;
      from += share(score);
      return { checkpoint: score.checkpoint, from: start, to: from, tint, text: percent(share(score)) };
    });
  });
  // Narrower segments cannot hold their number; the table has it.
  const least = isNarrow(width) ? 0.22 : 0.08;
  return {
    ...checkpointRows(scores, width, 16),
    x: { domain: [0, 1], ticks: 5, tickFormat: (value: number) => `${Math.round(value * 100)} %`, label: null },
    marks: [
      Plot.rect(segments, {
        x1: 'from',
        x2: 'to',
        y: 'checkpoint',
        fill: 'tint',
        stroke: colour('paper'),
        strokeWidth: 1,
      }),
      Plot.text(
        segments.filter(({ from, to }) => to - from >= least),
        {
          x: ({ from, to }: Segment) => (from + to) / 2,
          y: 'checkpoint',
          text: 'text',
          fill: ({ tint }: Segment) => (tint === colour('line') ? colour('ink') : colour('paper')),
        },
      ),
    ],
  };
}
