import * as Plot from '@observablehq/plot';
import { percent } from '../format.ts';
import type { Score, Summary } from '../summary-schema.ts';
import { benchmarksOf, coverage, sampleSize, scoresOf } from '../tables.ts';
import { colour, lookOf } from './colours.ts';
import { type Figure, isNarrow } from './figure.ts';
import { percentCell } from './numbers.ts';
import { plotSvg } from './plot.ts';

const ROW_HEIGHT = 26;

/** A row without a checkpoint, above the others, for the benchmark's name. */
const TITLE_ROW = '';

/** pass@1 of every checkpoint on every benchmark, with its interval. */
export function scoresFigure(summary: Pick<Summary, 'scores' | 'covers'>): Figure {
  const { scores } = summary;
  const benchmarks = benchmarksOf(summary);
  const sizes = benchmarks.map((name) => `${name}: ${sampleSize(scoresOf(summary, name))}`).join('; ');
  const alt = `pass@1 with 95 % intervals. ${benchmarks.map((name) => spoken(name, scoresOf(summary, name))).join(' ')}`;
  return {
    id: 'scores',
    title: 'Share of right answers',
    caption:
      `pass@1, the mean over problems of the share of right samples; an answer that is cut off is wrong. ${sizes}. ` +
      `Bars are 95 % intervals from a bootstrap over problems, then samples. ${coverage(summary)}`,
    alt,
    legend: [],
    table: {
      head: ['benchmark', 'checkpoint', 'pass@1', 'from', 'to'],
      rows: scores.map(({ benchmark, checkpoint, passAt1 }) => [
        benchmark,
        checkpoint,
        percentCell(passAt1.value),
        percentCell(passAt1.low),
        percentCell(passAt1.high),
      ]),
    },
    draw: (width) => plotSvg(options(scores, benchmarks, width), alt),
  };
}

function options(scores: readonly Score[], benchmarks: readonly string[], width: number): Plot.PlotOptions {
  const checkpoints = [...new Set(scores.map(({ checkpoint }) => checkpoint))];
  const narrow = isNarrow(width);
  const highest = Math.max(0.1, ...scores.map(({ passAt1 }) => passAt1.high));
  const marginLeft = Math.min(width * 0.4, 16 + 7.2 * Math.max(0, ...checkpoints.map((name) => name.length)));
  return {
    width,
    height: 36 + benchmarks.length * (checkpoints.length + 1) * ROW_HEIGHT,
    marginLeft,
    marginRight: 52,
    marginTop: 2,
    marginBottom: 34,
    x: {
      domain: [0, Math.min(1, Math.ceil(highest * 10) / 10)],
      ticks: narrow ? 3 : 6,
      tickFormat: (value: number) => `${Math.round(value * 100)} %`,
      label: null,
      grid: true,
    },
    y: { domain: [TITLE_ROW, ...checkpoints], label: null, tickSize: 0, padding: 0.3 },
    fy: { domain: benchmarks, axis: null, padding: 0 },
    marks: [
      Plot.text(benchmarks, {
        fy: (name: string) => name,
        text: (name: string) => name,
        y: () => TITLE_ROW,
        frameAnchor: 'left',
        dx: -marginLeft + 2,
        fontWeight: 'bold',
        textAnchor: 'start',
      }),
      ...checkpoints.flatMap((checkpoint) => {
        const look = lookOf(checkpoint);
        const rows = scores.filter((score) => score.checkpoint === checkpoint);
        const at = { y: 'checkpoint', fy: 'benchmark' };
        return [
          Plot.ruleY(rows, {
            ...at,
            x1: (score: Score) => score.passAt1.low,
            x2: (score: Score) => score.passAt1.high,
            stroke: look.colour,
            strokeWidth: 5,
            strokeOpacity: 0.35,
            strokeLinecap: 'round',
          }),
          Plot.dot(rows, {
            ...at,
            x: (score: Score) => score.passAt1.value,
            fill: look.colour,
            stroke: colour('paper'),
            r: 5,
            symbol: look.symbol,
          }),
          Plot.text(rows, {
            ...at,
            x: (score: Score) => score.passAt1.high,
            text: (score: Score) => percent(score.passAt1.value),
            textAnchor: 'start',
            dx: 8,
          }),
        ];
      }),
    ],
  };
}

function spoken(benchmark: string, scores: readonly Score[]): string {
  const each = scores.map(({ checkpoint, passAt1: { value, low, high } }) => {
    return `${checkpoint} ${percent(value)} (${percent(low)} to ${percent(high)})`;
  });
  return `${benchmark}: ${each.join(', ')}.`;
}
