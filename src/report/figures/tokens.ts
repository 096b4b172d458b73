import * as Plot from '@observablehq/plot';
import { fixed, percent } from '../format.ts';
import type { Score, Summary } from '../summary-schema.ts';
import { benchmarksOf, sampleSize, scoresOf } from '../tables.ts';
import { colour, lookOf } from './colours.ts';
import type { Figure } from './figure.ts';
import { countCell, fixedCell, percentCell } from './numbers.ts';
import { plotSvg } from './plot.ts';

interface Point {
  tokens: number;
  accuracy: number;
}

/** Accuracy against the tokens that an answer takes under ever higher caps, a figure for each benchmark. */
export function tokensFigures(summary: Summary): Figure[] {
  return benchmarksOf(summary).map((benchmark, i) => tokensFigure(benchmark, i, scoresOf(summary, benchmark)));
}

function tokensFigure(benchmark: string, number: number, scores: readonly Score[]): Figure {
  const ends = scores.map(({ checkpoint, accuracyAtCaps, tokensPerAnswer }) => {
    return `${checkpoint} ${percent(accuracyAtCaps.at(-1)?.accuracy ?? 0)} at ${fixed(tokensPerAnswer, 0)} tokens`;
  });
  const caps = (scores[0]?.accuracyAtCaps ?? []).map(({ cap }) => cap);
  const alt = `${benchmark}: share of right answers against tokens spent on an answer. ${ends.join(', ')}.`;
  return {
    id: `tokens-${number}`,
    title: `Accuracy against tokens: ${benchmark}`,
    caption:
      `Mean tokens spent on an answer, and the share right and finished, under caps of ${caps.join(', ')} tokens ` +
      `(${sampleSize(scores)}); the large mark is the highest cap. Sampling goes from left to right, so a lower cap would ` +
      'have cut the same answers there. Higher at the same place is better for the same cost. No intervals: those of the ' +
      'large marks are in the score table.',
    alt,
    legend: scores.map(({ checkpoint }) => ({ label: checkpoint, ...lookOf(checkpoint) })),
    table: {
      head: ['checkpoint', 'cap', 'tokens spent', 'right', 'tokens per right answer'],
      rows: scores.flatMap((score) =>
        score.accuracyAtCaps.map(({ cap, tokens, accuracy }, i) => [
          score.checkpoint,
          countCell(cap),
          fixedCell(tokens, 1),
          percentCell(accuracy),
          i < score.accuracyAtCaps.length - 1 ? '' : fixedCell(score.tokensPerCorrectAnswer, 0),
        ]),
      ),
    },
    draw: (width) => plotSvg(options(scores, width), alt),
  };
}

/** From nothing spent; a summary of before tokens were recorded has the caps alone. */
function pointsOf({ accuracyAtCaps }: Score): Point[] {
  return [
    { tokens: 0, accuracy: 0 },
    ...accuracyAtCaps.map(({ cap, tokens, accuracy }) => ({ tokens: tokens ?? cap, accuracy })),
  ];
}

function options(scores: readonly Score[], width: number): Plot.PlotOptions {
  const all = scores.flatMap(pointsOf);
  const longest = Math.max(1, ...all.map(({ tokens }) => tokens));
  const highest = Math.max(0.1, ...all.map(({ accuracy }) => accuracy));
  return {
    width,
    height: 280,
    marginLeft: 46,
    marginRight: 16,
    marginTop: 12,
    marginBottom: 38,
    x: {
      domain: [0, longest * 1.03],
      label: 'mean tokens spent on an answer',
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
    marks: scores.flatMap((score) => {
      const look = lookOf(score.checkpoint);
      const points = pointsOf(score);
      const xy = { x: 'tokens', y: 'accuracy' };
      return [
        Plot.lineY(points, {
          ...xy,
          stroke: look.colour,
          strokeWidth: 2,
          ...(look.dash !== null && { strokeDasharray: look.dash }),
        }),
        Plot.dot(points.slice(1, -1), { ...xy, fill: look.colour, r: 2.5, symbol: look.symbol }),
        Plot.dot(points.slice(-1), { ...xy, fill: look.colour, stroke: colour('paper'), r: 6, symbol: look.symbol }),
      ];
    }),
  };
}
