import type { Progress, StageProgress } from '../core/progress.ts';

export interface RenderOptions {
  nowMs: number;
  /** Columns of the terminal; lines are never longer. */
  width: number;
  color: boolean;
}

const barWidth = 20;
const labelWidth = 13;
/** A stage that has just begun has no rate worth showing. */
const minimumRateMs = 1000;

/** One line per stage: label, bar, share, counts, tokens, rate, time. */
export function renderProgress(progress: Progress, options: RenderOptions): string[] {
  const lines = progress.stages.map((stage) =>
    paint(stage, shorten(stageLine(stage, options), options.width), options),
  );
  return [...lines, ...notices(progress).map((line) => shorten(line, options.width))];
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
  return lines;
}

const resolveWidth = '  npx astroflow resolve  retry  '.length;

/** What a command takes: the run's name, or the whole id of a stage that was started alone. */
function addressOf({ run, workflowId }: Progress): string {
  return workflowId === undefined || workflowId === `astro/${run}` ? run : workflowId;
}

/** The same stage as one line of a log. */
export function logLine(stage: StageProgress, nowMs: number): string {
  return [label(stage), stage.state, ...facts(stage, nowMs)].join('  ');
}

export function label(stage: Pick<StageProgress, 'name' | 'arm'>): string {
  return stage.arm === undefined ? stage.name : `${stage.name} ${stage.arm}`;
}

/** Share done in [0, 1]; 0 while the total is unknown. */
export function shareOf(stage: StageProgress): number {
  if (stage.state === 'done' || stage.state === 'reused') return 1;
  return stage.total > 0 ? Math.min(1, Math.max(0, stage.done / stage.total)) : 0;
}

/** Tokens per second over the stage so far, or null before there is anything to say. */
export function tokenRate(stage: StageProgress, nowMs: number): number | null {
  const elapsedMs = elapsed(stage, nowMs);
  // A reused stage's tokens were sampled by an earlier run, in a time that is not known here.
  if (stage.state === 'reused' || elapsedMs === null || elapsedMs < minimumRateMs || stage.tokens === 0) return null;
  return stage.tokens / (elapsedMs / 1000);
}

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

function stageLine(stage: StageProgress, { nowMs }: RenderOptions): string {
  const filled = Math.round(shareOf(stage) * barWidth);
  const bar = '█'.repeat(filled) + '░'.repeat(barWidth - filled);
  const share = `${Math.floor(shareOf(stage) * 100)}%`.padStart(4);
  return `${label(stage).padEnd(labelWidth)} ${bar} ${share}  ${facts(stage, nowMs).join('  ')}`.trimEnd();
}

function facts(stage: StageProgress, nowMs: number): string[] {
  if (stage.state === 'waiting') return [];
  const found: string[] = [];
  if (stage.total > 0) found.push(`${stage.done}/${stage.total} ${stage.unit}`);
  if (stage.tokens > 0) found.push(`${short(stage.tokens)} tokens`);
  const rate = tokenRate(stage, nowMs);
  if (rate !== null) found.push(`${short(rate)} tok/s`);
  const elapsedMs = elapsed(stage, nowMs);
  if (stage.state === 'reused') found.push('reused');
  else if (elapsedMs !== null) found.push(clock(elapsedMs));
  if (stage.state === 'failed' || stage.state === 'paused') found.push(stage.state);
  if (stage.state === 'attention') found.push('needs attention');
  if (stage.note !== undefined) found.push(stage.note);
  return found;
}

function elapsed({ startedAtMs, endedAtMs }: StageProgress, nowMs: number): number | null {
  return startedAtMs === undefined ? null : Math.max(0, (endedAtMs ?? nowMs) - startedAtMs);
}

function shorten(line: string, width: number): string {
  return line.length <= width ? line : `${line.slice(0, Math.max(0, width - 1))}…`;
}

function paint({ state }: StageProgress, line: string, { color }: RenderOptions): string {
  if (!color) return line;
  const codes = { waiting: 2, running: 36, paused: 33, attention: 33, done: 32, reused: 32, failed: 31 } as const;
  return `\u001b[${codes[state]}m${line}\u001b[0m`;
}
