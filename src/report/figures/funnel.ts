import * as Plot from '@observablehq/plot';
import { integer } from '../format.ts';
import type { Summary } from '../summary-schema.ts';
import { colour } from './colours.ts';
import { type Figure, isNarrow } from './figure.ts';
import { countCell } from './numbers.ts';
import { plotSvg } from './plot.ts';

interface Stage {
  label: string;
  count: number;
  /** Rows are no longer problems: a tree gives several. */
  unit: 'problems' | 'rows';
  tint: string;
}

const ROW_HEIGHT = 28;

/** From problems to training rows, and why trees gave none. */
export function funnelFigure({ funnel }: Pick<Summary, 'funnel'>): Figure {
  const stages: Stage[] = [
    { label: 'problems', count: funnel.problems, unit: 'problems', tint: colour('base') },
    { label: 'trees', count: funnel.trees, unit: 'problems', tint: colour('base') },
    { label: 'trees with a right answer', count: funnel.solved, unit: 'problems', tint: colour('base') },
    { label: 'trees that gave rows', count: funnel.valid, unit: 'problems', tint: colour('base') },
    { label: 'search rows', count: funnel.searchRows, unit: 'rows', tint: colour('search') },
    { label: 'direct rows', count: funnel.directRows, unit: 'rows', tint: colour('direct') },
  ];
  const rejected = Object.entries(funnel.rejected);
  const reasons = rejected.map(([reason, count]) => `${integer(count)} ${reason}`).join(', ');
  const alt = `From problems to rows: ${stages.map(({ label, count }) => `${integer(count)} ${label}`).join(', ')}.`;
  return {
    id: 'funnel',
    title: 'From problems to training rows',
    caption:
      `Each of ${integer(funnel.problems)} problems gets a search tree; a tree with a right answer, and a wrong one ` +
      'to go back from, gives rows to both arms. Rows are counted on the same scale: one tree may give several. ' +
      (reasons === '' ? 'No tree was rejected.' : `Trees without rows: ${reasons}.`),
    alt,
    legend: [],
    table: {
      head: ['what', 'count'],
      rows: [
        ...stages.map(({ label, count }) => [label, countCell(count)]),
        ...rejected.map(([reason, count]) => [`rejected: ${reason}`, countCell(count)]),
        ...languageRows(funnel.language),
      ],
    },
    draw: (width) => plotSvg(options(stages, width), alt),
  };
}

function options(stages: readonly Stage[], width: number): Plot.PlotOptions {
  return {
    width,
    height: stages.length * ROW_HEIGHT + 24,
    marginLeft: isNarrow(width) ? 156 : 170,
    marginRight: 50,
    marginTop: 8,
    marginBottom: 16,
    x: { axis: null, domain: [0, Math.max(1, ...stages.map(({ count }) => count))] },
    y: { domain: stages.map(({ label }) => label), label: null, tickSize: 0, padding: 0.25 },
    marks: [
      Plot.barX(stages, { x: 'count', y: 'label', fill: 'tint', fillOpacity: 0.85, rx: 2 }),
      Plot.text(stages, {
        x: 'count',
        y: 'label',
        text: ({ count }: Stage) => integer(count),
        textAnchor: 'start',
        dx: 6,
      }),
      Plot.ruleX([0], { stroke: colour('quiet') }),
    ],
  };
}

function languageRows(language: Summary['funnel']['language']) {
  if (language === undefined) return [];
  return [
    ['right solutions judged', countCell(language.judged)],
    ['right solutions approved', countCell(language.approved)],
    ['votes without a verdict', countCell(language.unreadVotes)],
    ['events narrated', countCell(language.narrated)],
    ['events a template wrote instead', countCell(language.fallbacks)],
    ...Object.entries(language.rejectedRows).map(([reason, count]) => [`rows rejected: ${reason}`, countCell(count)]),
  ];
}
