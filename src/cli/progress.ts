import { printable } from '../core/foreign-text.ts';
import { elapsedMs, msLeft, shareOf, tokenRate } from '../core/pace.ts';
import type { Progress, StageProgress } from '../core/progress.ts';
import { addressOf, stageLabel } from '../runs/status.ts';

export interface RenderOptions {
  nowMs: number;
  /** Columns of the terminal; lines are never longer. */
  width: number;
  /** Lines there is room for; all, if absent. */
  height?: number;
  color: boolean;
}

const barWidth = 20;
/** Below this width the bar gets shorter, and below the second there is none. */
const roomForBar = { whole: 70, short: 44 };
const labelWidth = 13;

/** One line per stage (label, bar, share, counts, tokens, rate, time, time left), then what a person should know. */
export function renderProgress(progress: Progress, options: RenderOptions): string[] {
  const said = notices(progress).flatMap((line) => wrap(line, options.width));
  const stages = fitHeight(progress.stages, (options.height ?? Number.POSITIVE_INFINITY) - said.length);
  return [...stages.map((stage) => paint(stage, stageLine(stage, options), options)), ...said];
}

/** Where there are more stages than lines, those that are over or yet to come go first: what is asked must stay. */
function fitHeight(stages: readonly StageProgress[], height: number): StageProgress[] {
  const kept = [...stages];
  for (const drop of [['done', 'reused'], ['waiting']]) {
    for (let at = 0; kept.length > height && at < kept.length; ) {
      if (drop.includes(kept[at]?.state ?? '')) kept.splice(at, 1);
      else at += 1;
    }
  }
  return kept.slice(0, Math.max(0, height));
}

/** Under the stages: that a run is paused, what it asks, and what to type. */
export function notices(progress: Progress): string[] {
  const lines: string[] = [];
  const run = addressOf(progress);
  if (progress.attention !== undefined) lines.push(`! ${progress.attention}`);
  for (const stage of progress.stages) {
    if (stage.state !== 'attention' || stage.attention === undefined) continue;
    const { what, why, sinceMs, offers, refuses } = stage.attention;
    const since = new Date(sinceMs).toISOString().replace(/\.\d+Z$/, 'Z');
    lines.push(`! ${label(stage)} needs attention since ${since}: ${what}`, `  ${why.replace(/\s+/g, ' ')}`);
    for (const [action, effect] of Object.entries(offers))
      lines.push(`  npx astroflow resolve ${run} ${action}`.padEnd(resolveWidth + run.length) + effect);
    for (const [action, reason] of Object.entries(refuses)) lines.push(`  not possible: ${action}, ${reason}`);
  }
  if (progress.paused) lines.push(`! paused; \`npx astroflow resume ${run}\` goes on`);
  return lines.map(printable);
}

const resolveWidth = '  npx astroflow resolve  retry  '.length;

/** The same stage as one line of a log. */
export function logLine(stage: StageProgress, nowMs: number): string {
  const shown = facts(stage, nowMs).map(({ text }) => text);
  // Its state stands at the beginning already.
  return [label(stage), stage.state, ...shown.filter((text) => text !== stage.state)].join('  ');
}

export const label = (stage: Parameters<typeof stageLabel>[0]): string => printable(stageLabel(stage));

/** `1234` → `1.2k`. */
export function short(value: number): string {
  if (value < 1000) return String(Math.round(value));
  if (value < 999_500) return `${(value / 1000).toFixed(value < 99_950 ? 1 : 0)}k`;
  return `${(value / 1_000_000).toFixed(1)}M`;
}

/** `75_000` → `1:15`. */
export function clock(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (value: number) => String(value).padStart(2, '0');
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

function stageLine(stage: StageProgress, { nowMs, width }: RenderOptions): string {
  const cells = width >= roomForBar.whole ? barWidth : width >= roomForBar.short ? barWidth / 2 : 0;
  const filled = Math.round(shareOf(stage) * cells);
  const bar = cells === 0 ? '' : ` ${'█'.repeat(filled)}${'░'.repeat(cells - filled)}`;
  const share = `${Math.floor(shareOf(stage) * 100)}%`.padStart(4);
  const head = `${label(stage).padEnd(labelWidth)}${bar} ${share}`;
  const shown = facts(stage, nowMs);
  const line = () => [head, ...shown.map(({ text }) => text)].join('  ').trimEnd();
  // A fact that is left out says more than the beginning of one.
  while (line().length > width && shown.length > 0) {
    const least = shown.reduce((a, b) => (b.weight < a.weight ? b : a));
    shown.splice(shown.indexOf(least), 1);
  }
  return shorten(line(), width);
}

/** What there is to say of a stage, in reading order; where room is short the lightest goes first. */
function facts(stage: StageProgress, nowMs: number): { text: string; weight: number }[] {
  if (stage.state === 'waiting') return [];
  const found: { text: string; weight: number }[] = [];
  const add = (weight: number, text: string) => found.push({ text, weight });
  if (stage.total > 0) add(7, `${stage.done}/${stage.total} ${stage.unit}`);
  if (stage.tokens > 0) add(2, `${short(stage.tokens)} tokens`);
  const rate = tokenRate(stage, nowMs);
  if (rate !== null) add(1, `${short(rate)} tok/s`);
  const elapsed = elapsedMs(stage, nowMs);
  if (stage.state === 'reused') add(6, 'reused');
  else if (elapsed !== null) add(3, clock(elapsed));
  const left = msLeft(stage, nowMs);
  if (left !== null) add(5, `${clock(left)} left`);
  if (stage.state === 'failed' || stage.state === 'paused' || stage.state === 'begun') add(8, stage.state);
  if (stage.state === 'attention') add(8, 'needs attention');
  if (stage.note !== undefined) add(4, printable(stage.note));
  return found;
}

export function shorten(line: string, width: number): string {
  return line.length <= width ? line : `${line.slice(0, Math.max(0, width - 1))}…`;
}

/** A line cut at blanks, its continuation set in: a command must stay whole to be typed. */
function wrap(line: string, width: number): string[] {
  const indent = '    ';
  const lines: string[] = [];
  let rest = line;
  while (rest.length > width) {
    const blank = rest.lastIndexOf(' ', width);
    const cut = blank > indent.length ? blank : Math.max(1, width);
    lines.push(rest.slice(0, cut).trimEnd());
    const next = rest.slice(cut).trimStart();
    rest = width > indent.length * 2 ? `${indent}${next}` : next;
  }
  return [...lines, rest];
}

function paint({ state }: StageProgress, line: string, { color }: RenderOptions): string {
  if (!color) return line;
  const codes = {
    waiting: 2,
    begun: 33,
    running: 36,
    paused: 33,
    attention: 33,
    done: 32,
    reused: 32,
    failed: 31,
  } as const;
  return `\u001b[${codes[state]}m${line}\u001b[0m`;
}
