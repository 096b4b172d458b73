import * as Plot from '@observablehq/plot';
import { fixed, percent } from '../format.ts';
import type { Score, Summary } from '../summary-schema.ts';
import { benchmarksOf, sampleSize, scoresOf } from '../tables.ts';
import { colour } from './colours.ts';
import { type Cell, type Figure, isNarrow, type LegendEntry } from './figure.ts';
import { countCell, fixedCell, percentCell } from './numbers.ts';
import { plotSvg } from './plot.ts';

const ROW_HEIGHT = 28;

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

interface Outcomes {
  id: string;
  title: string;
  what: string;
  size: string;
  scores: readonly Score[];
  all: readonly Score[];
  right: (score: Score) => number | null;
  wrong: (score: Score) => number | null;
}

/** One number of right and of wrong answers, by checkpoint. */
function outcomeFigure({ id, title, what, size, scores, all, right, wrong }: Outcomes): Figure {
  const alt = `${title}. ${scores.map((score) => `${score.checkpoint}: ${fixed(right(score), 2)} when right, ${fixed(wrong(score), 2)} when wrong`).join('; ')}.`;
  return {
    id,
    title,
    caption: `${what} (${size}). No mark: there is no such answer. No intervals.`,
    alt,
    legend: [
      { label: 'ends right', colour: colour('right'), symbol: 'circle' },
      { label: 'ends wrong', colour: colour('wrong'), symbol: 'square' },
    ],
    table: {
      head: ['checkpoint', 'benchmark', 'when right', 'when wrong'],
      rows: all.map((score) => [
        score.checkpoint,
        score.benchmark,
        fixedCell(right(score), 2),
        fixedCell(wrong(score), 2),
      ]),
    },
    half: true,
    draw: (width) => plotSvg(outcomeOptions(scores, right, wrong, width), alt),
  };
}

function outcomeOptions(
  scores: readonly Score[],
  right: (score: Score) => number | null,
  wrong: (score: Score) => number | null,
  width: number,
): Plot.PlotOptions {
  const both = scores.flatMap((score) => [right(score) ?? 0, wrong(score) ?? 0]);
  const dots = (value: (score: Score) => number | null) => scores.filter((score) => value(score) !== null);
  return {
    ...frame(scores, width, 16),
    x: { domain: [0, Math.max(0.5, ...both) * 1.05], ticks: 5, label: null, grid: true },
    marks: [
      Plot.ruleY(
        scores.filter((score) => right(score) !== null && wrong(score) !== null),
        { y: 'checkpoint', x1: right, x2: wrong, stroke: colour('line'), strokeWidth: 3 },
      ),
      Plot.dot(dots(wrong), { x: wrong, y: 'checkpoint', fill: colour('wrong'), r: 5, symbol: 'square' }),
      Plot.dot(dots(right), { x: right, y: 'checkpoint', fill: colour('right'), r: 5 }),
    ],
  };
}

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
function revisionsFigure(summary: Summary, scores: readonly Score[], size: string): Figure {
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
    ...frame(scores, width, 16),
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

function frame(scores: readonly Score[], width: number, marginRight: number): Plot.PlotOptions {
  const longest = Math.max(0, ...scores.map(({ checkpoint }) => checkpoint.length));
  return {
    width,
    height: scores.length * ROW_HEIGHT + 36,
    marginLeft: Math.min(width * 0.4, 16 + 7.2 * longest),
    marginRight,
    marginTop: 4,
    marginBottom: 30,
    y: { domain: scores.map(({ checkpoint }) => checkpoint), label: null, tickSize: 0, padding: 0.25 },
  };
}
