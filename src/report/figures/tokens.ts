import * as Plot from '@observablehq/plot';
import { fixed, percent } from '../format.ts';
import type { Score, Summary } from '../summary-schema.ts';
import { benchmarksOf, sampleSize, scoresOf } from '../tables.ts';
import { colour, lookOf } from './colours.ts';
import type { Figure } from './figure.ts';
import { fixedCell, percentCell } from './numbers.ts';
import { plotSvg } from './plot.ts';

interface Point {
  cap: number;
  accuracy: number;
}

/** Accuracy against the most tokens an answer may have, a figure for each benchmark. */
export function tokensFigures(summary: Summary): Figure[] {
  return benchmarksOf(summary).map((benchmark, i) => tokensFigure(benchmark, i, scoresOf(summary, benchmark)));
}

function tokensFigure(benchmark: string, number: number, scores: readonly Score[]): Figure {
  const ends = scores.map(({ checkpoint, accuracyAtCaps }) => {
    const { cap = 0, accuracy = 0 } = accuracyAtCaps.at(-1) ?? {};
    return `${checkpoint} ${percent(accuracy)} at ${cap} tokens`;
  });
  const alt = `${benchmark}: share of right answers against the token cap. ${ends.join(', ')}.`;
  return {
    id: `tokens-${number}`,
    title: `Accuracy against tokens: ${benchmark}`,
    caption:
      `Share of answers that are right and finished within so many tokens (${sampleSize(scores)}); sampling goes from ` +
      'left to right, so a lower cap would have cut the same answers there. Large marks stand at the mean length of an ' +
      'answer. No intervals: those of the right end are in the score table.',
    alt,
    legend: scores.map(({ checkpoint }) => ({ label: checkpoint, ...lookOf(checkpoint) })),
    table: {
      head: [
        'checkpoint',
        ...(scores[0]?.accuracyAtCaps ?? []).map(({ cap }) => `≤ ${cap}`),
        'tokens per answer',
        'tokens per right answer',
      ],
      rows: scores.map((score) => [
        score.checkpoint,
        ...score.accuracyAtCaps.map(({ accuracy }) => percentCell(accuracy)),
        fixedCell(score.tokensPerAnswer, 1),
        score.tokensPerCorrectAnswer === null ? 'no right answer' : fixedCell(score.tokensPerCorrectAnswer, 0),
      ]),
    },
    draw: (width) => plotSvg(options(scores, width), alt),
  };
}

function options(scores: readonly Score[], width: number): Plot.PlotOptions {
  const longest = Math.max(1, ...scores.flatMap(({ accuracyAtCaps }) => accuracyAtCaps.map(({ cap }) => cap)));
  const highest = Math.max(0.1, ...scores.flatMap(({ accuracyAtCaps }) => accuracyAtCaps.map((p) => p.accuracy)));
  return {
    width,
    height: 280,
    marginLeft: 46,
    marginRight: 16,
    marginTop: 12,
    marginBottom: 38,
    x: {
      domain: [0, longest],
      label: 'most tokens an answer may have',
      labelAnchor: 'center',
      labelArrow: 'none',
      ticks: 5,
    },
    y: {
      domain: [0, Math.min(1, Math.ceil(highest * 10 + 0.2) / 10)],
      tickFormat: (value: number) => `${fixed(value * 100, 0)} %`,
      label: null,
      ticks: 5,
      grid: true,
    },
    marks: scores.flatMap(({ checkpoint, accuracyAtCaps, tokensPerAnswer }) => {
      const look = lookOf(checkpoint);
      const points: Point[] = [{ cap: 0, accuracy: 0 }, ...accuracyAtCaps];
      return [
        Plot.lineY(points, {
          x: 'cap',
          y: 'accuracy',
          stroke: look.colour,
          strokeWidth: 2,
          ...(look.dash !== null && { strokeDasharray: look.dash }),
        }),
        Plot.dot(accuracyAtCaps, { x: 'cap', y: 'accuracy', fill: look.colour, r: 2.5, symbol: look.symbol }),
        Plot.dot([{ cap: tokensPerAnswer, accuracy: between(points, tokensPerAnswer) }], {
          x: 'cap',
          y: 'accuracy',
          fill: look.colour,
          stroke: colour('paper'),
          r: 6,
          symbol: look.symbol,
        }),
      ];
    }),
  };
}

/** Where the line stands above `at`: only a place for a mark. */
function between(points: readonly Point[], at: number): number {
  const after = points.findIndex(({ cap }) => cap >= at);
  const [from, to] = [points[after - 1], points[after]];
  if (to === undefined) return points.at(-1)?.accuracy ?? 0;
  if (from === undefined) return to.accuracy;
  return from.accuracy + ((at - from.cap) / (to.cap - from.cap)) * (to.accuracy - from.accuracy);
}
