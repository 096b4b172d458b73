import * as Plot from '@observablehq/plot';
import { integer, percent } from '../format.ts';
import type { Matrix, Summary } from '../summary-schema.ts';
import { colour } from './colours.ts';
import type { Figure } from './figure.ts';
import { plotSvg } from './plot.ts';

const ROW_HEIGHT = 30;

/** Columns of a drawing at most, and benchmarks that are drawn: a page must stay small. */
const MOST_COLUMNS = 320;
const MOST_BENCHMARKS = 4;

/** Right answers of every problem by checkpoint, a figure for each of the first benchmarks. */
export function matrixFigures({ matrix }: Pick<Summary, 'matrix'>): Figure[] {
  return matrix
    .filter(({ problems }) => problems.length > 0)
    .slice(0, MOST_BENCHMARKS)
    .map(matrixFigure);
}

type Row = Matrix['problems'][number];

function matrixFigure(matrix: Matrix, number: number): Figure {
  const { benchmark, checkpoints, omitted, list } = matrix;
  const problems = [...matrix.problems].sort((a, b) => rightOf(b) - rightOf(a) || (a.id < b.id ? -1 : 1));
  const always = (column: number) => problems.filter((row) => shareOf(row, column) === 1).length;
  const never = (column: number) => problems.filter((row) => shareOf(row, column) === 0).length;
  const spoken = checkpoints.map((name, i) => `${name} always right in ${always(i)}, never in ${never(i)}`);
  const alt = `${benchmark}: right answers by problem and checkpoint. Of ${problems.length} problems ${spoken.join('; ')}.`;
  const rest =
    omitted > 0
      ? ` The first ${problems.length} problems of the benchmark; all ${integer(problems.length + omitted)} are in ${list}.`
      : '';
  return {
    id: `matrix-${number}`,
    title: `Problem by problem: ${benchmark}`,
    caption:
      `${integer(problems.length)} problems from left to right, those that most checkpoints solve first; each column is ` +
      `a problem, and as full as the share of its samples that are right. Where there are more problems than columns, ` +
      `neighbours are averaged.${rest}`,
    alt,
    legend: [
      { label: 'all samples right', colour: colour('value'), symbol: 'bar' },
      { label: 'half', colour: colour('value'), symbol: 'bar', opacity: 0.5 },
      { label: 'none', colour: colour('panel'), symbol: 'bar' },
    ],
    table: {
      head: ['problem', ...checkpoints],
      rows: problems.map(({ id, right, samples }) => [
        id,
        ...checkpoints.map((_, i) => ({ value: right[i] ?? 0, text: `${right[i] ?? 0} of ${samples[i] ?? 0}` })),
      ]),
    },
    draw: (width) => plotSvg(options(checkpoints, problems, width), alt),
  };
}

const rightOf = ({ right, samples }: Row) =>
  right.reduce((sum, count, i) => sum + count / Math.max(1, samples[i] ?? 0), 0);
const shareOf = ({ right, samples }: Row, column: number) => (right[column] ?? 0) / Math.max(1, samples[column] ?? 0);

interface Run {
  checkpoint: string;
  from: number;
  to: number;
  share: number;
}

function options(checkpoints: readonly string[], problems: readonly Row[], width: number): Plot.PlotOptions {
  const marginLeft = Math.min(width * 0.4, 16 + 7.2 * Math.max(0, ...checkpoints.map((name) => name.length)));
  const marginRight = 52;
  const columns = Math.min(problems.length, MOST_COLUMNS, Math.floor(width - marginLeft - marginRight));
  const runs = checkpoints.flatMap((checkpoint, i) => runsOf(checkpoint, problems, i, columns));
  const means = checkpoints.map((checkpoint, i) => ({
    checkpoint,
    share: problems.reduce((sum, row) => sum + shareOf(row, i), 0) / problems.length,
  }));
  return {
    width,
    height: checkpoints.length * ROW_HEIGHT + 12,
    marginLeft,
    marginRight,
    marginTop: 2,
    marginBottom: 10,
    x: { axis: null, domain: [0, problems.length] },
    y: { domain: checkpoints, label: null, tickSize: 0, padding: 0.14 },
    marks: [
      Plot.rect(means, { x1: 0, x2: problems.length, y: 'checkpoint', fill: colour('panel'), stroke: colour('line') }),
      Plot.rect(runs, {
        x1: 'from',
        x2: 'to',
        y: 'checkpoint',
        fill: colour('value'),
        fillOpacity: 'share',
        shapeRendering: 'crispEdges',
      }),
      Plot.text(means, {
        x: () => problems.length,
        y: 'checkpoint',
        text: ({ share }: { share: number }) => percent(share),
        textAnchor: 'start',
        dx: 6,
      }),
    ],
    opacity: { domain: [0, 1], range: [0, 1] },
  };
}

/** Neighbouring columns of one share as one rectangle, which keeps a drawing of many problems small. */
function runsOf(checkpoint: string, problems: readonly Row[], column: number, columns: number): Run[] {
  const runs: Run[] = [];
  for (let i = 0; i < columns; i++) {
    const [from, to] = [(i * problems.length) / columns, ((i + 1) * problems.length) / columns];
    const inside = problems.slice(Math.floor(from), Math.max(Math.floor(from) + 1, Math.floor(to)));
    // In sixteenths: finer steps of a tint cannot be told apart.
    const share = Math.round((inside.reduce((sum, row) => sum + shareOf(row, column), 0) / inside.length) * 16) / 16;
    const before = runs.at(-1);
    if (before !== undefined && before.share === share) before.to = to;
    else runs.push({ checkpoint, from, to, share });
  }
  return runs.filter(({ share }) => share > 0);
}
