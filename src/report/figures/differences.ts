import * as Plot from '@observablehq/plot';
import { points, pointsInterval, pValue } from '../format.ts';
import type { Comparison, Summary } from '../summary-schema.ts';
import { benchmarksOf, comparisonsOf, coverage } from '../tables.ts';
import { colour } from './colours.ts';
import { type Figure, isNarrow } from './figure.ts';
import { countCell, pCell, pointsCell } from './numbers.ts';
import { plotSvg } from './plot.ts';

const ROW_HEIGHT = 34;

/** A row without a comparison, above the others, for the benchmark's name. */
const TITLE_ROW = '';

const nameOf = ({ from, to }: Comparison) => `${to} − ${from}`;

/** Paired differences as a forest plot; null where a run has nothing to compare. */
export function differencesFigure(summary: Summary): Figure | null {
  const { comparisons } = summary;
  if (comparisons.length === 0) return null;
  const benchmarks = benchmarksOf(summary).filter((name) => comparisonsOf(summary, name).length > 0);
  const sizes = benchmarks.map((name) => `${name}: ${comparisonsOf(summary, name)[0]?.problems ?? 0} problems`);
  const alt = `Paired differences of pass@1 in percentage points with 95 % intervals. ${comparisons.map(spoken).join(' ')}`;
  return {
    id: 'differences',
    title: 'Paired differences',
    caption:
      `Percentage points of pass@1, paired by problem (${sizes.join('; ')}). Bars are 95 % intervals; one that crosses ` +
      'the line at 0 is not resolved, and its mark is hollow. The grey band is what so many problems could not show ' +
      'four times of five: a true difference inside it may well be missed. p is from a sign-flip permutation test, ' +
      `corrected over benchmarks (Holm) in the table. ${unlike(comparisons)}${coverage(summary)}`,
    alt,
    legend: [
      { label: 'better', colour: colour('right'), symbol: 'circle' },
      { label: 'worse', colour: colour('wrong'), symbol: 'circle' },
      { label: 'too small to be seen with so many problems', colour: colour('line'), symbol: 'band' },
    ],
    table: {
      head: ['benchmark', 'difference', 'points', 'from', 'to', 'p', 'p (Holm)', 'detectable from', 'problems'],
      rows: comparisons.map((comparison) => [
        comparison.benchmark,
        nameOf(comparison),
        pointsCell(comparison.difference),
        pointsCell(comparison.low),
        pointsCell(comparison.high),
        pCell(comparison.pValue),
        pCell(comparison.pHolm),
        pointsCell(comparison.minimumDetectableDifference),
        countCell(comparison.problems),
      ]),
    },
    draw: (width) => plotSvg(options(comparisons, benchmarks, width), alt),
  };
}

const isResolved = ({ low, high }: Comparison) => low > 0 || high < 0;

function options(comparisons: readonly Comparison[], benchmarks: readonly string[], width: number): Plot.PlotOptions {
  const names = [...new Set(comparisons.map(nameOf))];
  const reach = comparisons.flatMap(({ low, high, minimumDetectableDifference: band }) => [low, high, band ?? 0]);
  const [lowest, highest] = [
    Math.min(0, ...reach, ...reach.map((value) => -Math.min(value, 0.05))),
    Math.max(0, ...reach),
  ];
  const at = { y: nameOf, fy: 'benchmark' };
  const tint = (one: Comparison) => colour(!isResolved(one) ? 'quiet' : one.difference > 0 ? 'right' : 'wrong');
  return {
    width,
    height: 36 + benchmarks.length * (names.length + 1) * ROW_HEIGHT,
    marginLeft: 8,
    marginRight: 16,
    marginTop: 0,
    marginBottom: 34,
    x: {
      domain: [lowest - 0.02, highest + 0.02],
      ticks: isNarrow(width) ? 4 : 8,
      tickFormat: (value: number) => points(value).replace('.0', ''),
      label: null,
      grid: true,
    },
    // Names stand above their bars: beside them they would take half of a phone.
    y: { domain: [TITLE_ROW, ...names], axis: null, padding: 0.2 },
    fy: { domain: benchmarks, axis: null, padding: 0 },
    marks: [
      Plot.text(benchmarks, {
        fy: (name: string) => name,
        text: (name: string) => name,
        y: () => TITLE_ROW,
        frameAnchor: 'left',
        dx: -6,
        dy: 6,
        stroke: colour('paper'),
        fill: colour('ink'),
        strokeWidth: 4,
        fontWeight: 'bold',
        textAnchor: 'start',
      }),
      Plot.ruleY(
        comparisons.filter(({ minimumDetectableDifference }) => minimumDetectableDifference !== null),
        {
          ...at,
          x1: (one: Comparison) => Math.max(lowest - 0.02, -(one.minimumDetectableDifference ?? 0)),
          x2: (one: Comparison) => one.minimumDetectableDifference ?? 0,
          stroke: colour('line'),
          strokeWidth: 12,
          dy: 6,
        },
      ),
      Plot.ruleX([0], { stroke: colour('ink'), strokeWidth: 1 }),
      Plot.ruleY(comparisons, { ...at, x1: 'low', x2: 'high', stroke: tint, strokeWidth: 2.5, dy: 6 }),
      Plot.dot(comparisons, {
        ...at,
        x: 'difference',
        r: 5,
        stroke: tint,
        strokeWidth: 2,
        fill: (one: Comparison) => (isResolved(one) ? tint(one) : colour('paper')),
        dy: 6,
      }),
      Plot.text(comparisons, {
        ...at,
        text: (one: Comparison) => `${nameOf(one)}:  ${points(one.difference)} ${pointsInterval(one.low, one.high)}`,
        frameAnchor: 'left',
        textAnchor: 'start',
        dx: -4,
        dy: -9,
        stroke: colour('paper'),
        fill: colour('ink'),
        strokeWidth: 4,
      }),
    ],
  };
}

/** A difference of protocols is no difference of checkpoints. */
function unlike(comparisons: readonly Comparison[]): string {
  const names = comparisons.filter(({ sameProtocol }) => sameProtocol === false).map(nameOf);
  if (names.length === 0) return '';
  return `Not asked and graded in the same way, so no difference of checkpoints alone: ${[...new Set(names)].join(', ')}. `;
}

function spoken(one: Comparison): string {
  return `${one.benchmark}, ${one.to} minus ${one.from}: ${points(one.difference)} (${points(one.low)} to ${points(one.high)}), p ${pValue(one.pValue)}.`;
}
