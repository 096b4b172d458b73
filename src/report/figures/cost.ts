import * as Plot from '@observablehq/plot';
import { integer, seconds } from '../format.ts';
import type { Summary } from '../summary-schema.ts';
import { colour } from './colours.ts';
import type { Figure } from './figure.ts';
import { countCell, secondsCell } from './numbers.ts';
import { plotSvg } from './plot.ts';

type Stage = Summary['stages'][number];

const ROW_HEIGHT = 26;

export const stageName = ({ name, arm }: Pick<Stage, 'name' | 'arm'>) => (arm === undefined ? name : `${name}, ${arm}`);

/** What each stage cost: sampled tokens, those of them that no result uses, and time. */
export function costFigures(summary: Summary): Figure[] {
  const { stages } = summary;
  const table = {
    head: ['stage', 'time', 'calls', 'sampled tokens', 'wasted tokens', 'why wasted', 'origin'],
    rows: stages.map((stage) => [
      stageName(stage),
      secondsCell(stage.seconds),
      countCell(stage.calls),
      countCell(stage.tokens),
      stage.wastedTokens === null ? 'unknown' : countCell(stage.wastedTokens),
      reasons(stage),
      stage.reused ? 'reused' : 'made by this run',
    ]),
  };
  const reused = stages.some((stage) => stage.reused) ? ' A reused stage shows what it cost when it was made.' : '';
  const tokens = stages.filter((stage) => stage.tokens > 0 || (stage.wastedTokens ?? 0) > 0);
  const tokensAlt = `Sampled tokens by stage: ${tokens.map((s) => `${stageName(s)} ${integer(s.tokens)}, wasted ${s.wastedTokens === null ? 'unknown' : integer(s.wastedTokens)}`).join('; ')}.`;
  const timeAlt = `Time by stage: ${stages.map((stage) => `${stageName(stage)} ${seconds(stage.seconds)}`).join('; ')}.`;
  return [
    {
      id: 'cost-tokens',
      title: 'Tokens by stage',
      caption:
        `Sampled tokens that stored results use (${stages.length} stages), and tokens that were ` +
        `served and that no result uses: the price of retries and restarts.${reused}`,
      alt: tokensAlt,
      legend: [
        { label: 'used by a result', colour: colour('base'), symbol: 'bar' },
        { label: 'wasted', colour: colour('wrong'), symbol: 'bar' },
      ],
      table,
      draw: (width) => plotSvg(tokenOptions(tokens, width), tokensAlt),
      half: true,
    },
    {
      id: 'cost-time',
      title: 'Time by stage',
      caption: `From each stage's start to its end (${stages.length} stages); all together took ${seconds(summary.wallSeconds)}.${reused}`,
      alt: timeAlt,
      legend: [],
      table: {
        head: ['stage', 'time'],
        rows: [
          ...stages.map((stage) => [stageName(stage), secondsCell(stage.seconds)]),
          ['all together', secondsCell(summary.wallSeconds)],
        ],
      },
      draw: (width) => plotSvg(timeOptions(stages, width), timeAlt),
      half: true,
    },
  ];
}

function frame(stages: readonly Stage[], width: number): Plot.PlotOptions {
  return {
    width,
    height: Math.max(1, stages.length) * ROW_HEIGHT + 28,
    marginLeft: 94,
    marginRight: 128,
    marginTop: 8,
    marginBottom: 18,
    y: { domain: stages.map(stageName), label: null, tickSize: 0, padding: 0.3 },
  };
}

function tokenOptions(stages: readonly Stage[], width: number): Plot.PlotOptions {
  const served = (stage: Stage) => stage.tokens + (stage.wastedTokens ?? 0);
  return {
    ...frame(stages, width),
    x: { axis: null, domain: [0, Math.max(1, ...stages.map(served))] },
    marks: [
      Plot.rect(stages, { x1: 0, x2: 'tokens', y: stageName, fill: colour('base'), fillOpacity: 0.85 }),
      Plot.rect(stages, { x1: 'tokens', x2: served, y: stageName, fill: colour('wrong') }),
      Plot.text(stages, {
        x: served,
        y: stageName,
        text: (stage: Stage) => `${short(stage.tokens)}${wastedText(stage)}`,
        textAnchor: 'start',
        dx: 6,
      }),
      Plot.ruleX([0], { stroke: colour('quiet') }),
    ],
  };
}

function timeOptions(stages: readonly Stage[], width: number): Plot.PlotOptions {
  return {
    ...frame(stages, width),
    x: { axis: null, domain: [0, Math.max(1e-3, ...stages.map((stage) => stage.seconds))] },
    marks: [
      Plot.barX(stages, {
        x: 'seconds',
        y: stageName,
        fill: colour('base'),
        fillOpacity: (stage: Stage) => (stage.reused ? 0.35 : 0.85),
      }),
      Plot.text(stages, {
        x: 'seconds',
        y: stageName,
        text: (stage: Stage) => `${seconds(stage.seconds)}${stage.reused ? ', reused' : ''}`,
        textAnchor: 'start',
        dx: 6,
      }),
      Plot.ruleX([0], { stroke: colour('quiet') }),
    ],
  };
}

/** By the ledger's reasons, whose tokens count prompts too. */
function reasons({ wastedBy }: Stage): string {
  return Object.entries(wastedBy ?? {})
    .map(([reason, { calls, tokens }]) => `${reason}: ${integer(calls)} calls, ${integer(tokens)} tokens with prompts`)
    .join('; ');
}

function wastedText({ wastedTokens }: Stage): string {
  if (wastedTokens === null) return ', waste unknown';
  return wastedTokens === 0 ? '' : ` + ${short(wastedTokens)} lost`;
}

/** 1234567 as `1.2 M`. */
function short(value: number): string {
  if (value < 10_000) return integer(value);
  return value < 1_000_000 ? `${(value / 1000).toFixed(0)} k` : `${(value / 1_000_000).toFixed(1)} M`;
}
