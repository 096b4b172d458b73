import * as Plot from '@observablehq/plot';
import { fixed } from '../format.ts';
import type { Score } from '../summary-schema.ts';
import { checkpointRows } from './checkpoint-rows.ts';
import { colour } from './colours.ts';
import type { Figure } from './figure.ts';
import { fixedCell } from './numbers.ts';
import { plotSvg } from './plot.ts';

export interface Outcomes {
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
export function outcomeFigure({ id, title, what, size, scores, all, right, wrong }: Outcomes): Figure {
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
    ...checkpointRows(scores, width, 16),
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
