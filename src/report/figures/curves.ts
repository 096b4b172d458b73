import * as Plot from '@observablehq/plot';
import { fixed, integer, percent } from '../format.ts';
import type { Summary } from '../summary-schema.ts';
import { colour, lookOf } from './colours.ts';
import type { Cell, Figure } from './figure.ts';
import { countCell, fixedCell, percentCell } from './numbers.ts';
import { plotSvg } from './plot.ts';

type Iteration = NonNullable<Summary['rl']['search']>[number];

interface Metric {
  id: string;
  title: string;
  what: string;
  value: (point: Iteration) => number;
  text: (value: number) => string;
  /** Columns of the table: what the value is made of, as `summary.json` has it. */
  cells: (point: Iteration) => Cell[];
  columns: string[];
  /** The least that the axis shows; the curves may need more. */
  domain: readonly [number, number];
}

const zeroVariance = ({ zeroVarianceGroups, groups }: Iteration) => (groups === 0 ? 0 : zeroVarianceGroups / groups);

const metrics: readonly Metric[] = [
  {
    id: 'rl-reward',
    title: 'Reward',
    what: 'Mean reward of an iteration: +1 for a right answer, 0 where the checker cannot decide, −1 for any other',
    value: ({ meanReward }) => meanReward,
    text: (value) => fixed(value, 2),
    cells: ({ meanReward }) => [fixedCell(meanReward, 2)],
    columns: ['reward'],
    domain: [-1, 1],
  },
  {
    id: 'rl-length',
    title: 'Length',
    what: 'Mean tokens of an answer',
    value: ({ meanTokens }) => meanTokens,
    text: integer,
    cells: ({ meanTokens, truncated }) => [fixedCell(meanTokens, 0), percentCell(truncated)],
    columns: ['tokens', 'cut off'],
    domain: [0, 10],
  },
  {
    id: 'rl-backtracks',
    title: 'Backtracks',
    what: 'Mean times that an answer goes back',
    value: ({ backtracksPerAnswer }) => backtracksPerAnswer,
    text: (value) => fixed(value, 1),
    cells: ({ backtracksPerAnswer }) => [fixedCell(backtracksPerAnswer, 2)],
    columns: ['backtracks'],
    domain: [0, 1],
  },
  {
    id: 'rl-zero-variance',
    title: 'Groups without a gradient',
    what: 'Share of groups whose answers are all right or all wrong: they teach nothing',
    value: zeroVariance,
    text: (value) => percent(value).replace('.0', ''),
    cells: ({ zeroVarianceGroups, groups }) => [countCell(zeroVarianceGroups), countCell(groups)],
    columns: ['uniform groups', 'of'],
    domain: [0, 1],
  },
];

/** Learning curves of reinforcement learning, a panel for each of reward, length, backtracks and uniform groups. */
export function curveFigures({ rl }: Pick<Summary, 'rl'>): Figure[] {
  const arms = Object.entries(rl).flatMap(([arm, points]) => (points.length > 0 ? [{ arm, points }] : []));
  if (arms.length === 0) return [];
  return metrics.map((metric) => curveFigure(metric, arms));
}

/** More points than this are not told apart. */
const MOST_POINTS = 500;

/** Every so-many-th point, the last one and the restarts always. */
function thinned(points: readonly Iteration[]): Iteration[] {
  const stride = Math.ceil(points.length / MOST_POINTS);
  return points.filter((point, i) => i % stride === 0 || i === points.length - 1 || isRestart(point));
}

interface Curve {
  arm: string;
  points: readonly Iteration[];
}

function curveFigure(metric: Metric, curves: readonly Curve[]): Figure {
  const { title, what, value, text } = metric;
  const ends = curves.map(({ arm, points }) => {
    const [first, last] = [points[0] as Iteration, points.at(-1) as Iteration];
    return `${arm} arm from ${text(value(first))} to ${text(value(last))} in ${points.length} iterations`;
  });
  const alt = `${title}: ${ends.join('; ')}.`;
  const answers = curves.map(({ arm, points }) => `${arm}: ${points.length} iterations`).join(', ');
  const restarts = curves.reduce((sum, { points }) => sum + points.filter(isRestart).length, 0);
  const marked =
    restarts === 0
      ? ''
      : ` ↻ marks ${restarts} ${restarts === 1 ? 'iteration' : 'iterations'} with a restart: a part was made again, or the model anew from a checkpoint.`;
  return {
    id: metric.id,
    title,
    caption: `${what} (${answers}; one training seed, so no interval).${marked}`,
    alt,
    legend: curves.map(({ arm }) => ({ label: `${arm} arm`, colour: lookOf(arm).colour, symbol: lookOf(arm).symbol })),
    table: {
      head: ['arm', 'iteration', ...metric.columns, 'restart'],
      rows: curves.flatMap(({ arm, points }) =>
        points.map((point) => [
          arm,
          countCell(point.iteration),
          ...metric.cells(point),
          isRestart(point) ? 'restart' : '',
        ]),
      ),
    },
    draw: (width) =>
      plotSvg(
        options(
          metric,
          curves.map((curve) => ({ ...curve, points: thinned(curve.points) })),
          width,
        ),
        alt,
      ),
    half: true,
  };
}

function options({ value, text, domain }: Metric, curves: readonly Curve[], width: number): Plot.PlotOptions {
  const all = curves.flatMap(({ points }) => points.map(value));
  const longest = Math.max(1, ...curves.flatMap(({ points }) => points.slice(-1).map(({ iteration }) => iteration)));
  return {
    width,
    height: 190,
    marginLeft: 46,
    marginRight: 16,
    marginTop: 16,
    marginBottom: 36,
    x: { domain: [0, longest], label: 'iteration', labelArrow: false, ticks: 5, tickFormat: wholeOnly },
    y: {
      domain: [Math.min(domain[0], ...all), Math.max(domain[1], ...all.map((one) => one * 1.08))],
      label: null,
      ticks: 4,
      tickFormat: text,
      grid: true,
    },
    marks: [
      ...curves.flatMap(({ points }) => {
        const restarts = points.filter(isRestart);
        return [
          Plot.ruleX(restarts, { x: 'iteration', stroke: colour('quiet'), strokeDasharray: '2 3' }),
          Plot.text(restarts, { x: 'iteration', text: () => '↻', frameAnchor: 'top', dy: -8, fill: colour('quiet') }),
        ];
      }),
      ...curves.flatMap(({ arm, points }, i) => {
        const look = lookOf(arm);
        const xy = { x: 'iteration', y: value };
        return [
          Plot.lineY(points, { ...xy, stroke: look.colour, strokeWidth: 2, ...(i > 0 && { strokeDasharray: '6 3' }) }),
          Plot.dot(points.slice(-1), {
            ...xy,
            fill: look.colour,
            stroke: colour('paper'),
            r: 4.5,
            symbol: look.symbol,
          }),
        ];
      }),
    ],
  };
}

/** Whether a part of the iteration was made again, or the model anew from a checkpoint. */
function isRestart({ restarts }: Iteration): boolean {
  return restarts !== undefined && (restarts.restored || restarts.rollouts > 0 || restarts.update > 0);
}

const wholeOnly = (value: number) => (Number.isInteger(value) ? String(value) : '');
