import { asMarkdownBlock, inMarkdown } from '../core/foreign-text.ts';
import { doneRate, msLeft, tokenRate } from '../core/pace.ts';
import { isUnderWay, type StageProgress } from '../core/progress.ts';

/** A stage's name for people: `rl search`. */
export function stageTitle(stage: Pick<StageProgress, 'name' | 'arm'>): string {
  return stage.arm === undefined ? stage.name : `${stage.name} ${stage.arm}`;
}

interface TableOptions {
  nowMs: number;
  paused?: boolean;
  /** The stage after those under way. */
  next?: string | undefined;
}

/** Markdown for a workflow's current details; the Temporal UI renders tables. */
export function progressTable(stages: readonly StageProgress[], { nowMs, paused = false, next }: TableOptions): string {
  const rows = stages.map((stage) => `| ${cells(stage, nowMs).join(' | ')} |`);
  const table = [`| ${header.join(' | ')} |`, `| ${alignment.join(' | ')} |`, ...rows].join('\n');
  const policy = stages.find((stage) => isUnderWay(stage.state) && stage.policy !== undefined)?.policy;
  return [
    table,
    ...(paused ? [pausedNote] : []),
    ...stages.flatMap(whatToDo),
    ...(policy === undefined ? [] : [`Policy now: \`${policy}\``]),
    ...nextDecision(stages, paused, next),
  ].join('\n\n');
}

const header = ['stage', 'state', 'done', 'rate', 'left', 'tokens', ''];
const alignment = ['---', '---', '---', '---:', '---:', '---:', '---'];

/** Rates and times are of the moment of the last change: details are not redrawn without one. */
function cells(stage: StageProgress, nowMs: number): string[] {
  const perSecond = doneRate(stage, nowMs);
  const tokensPerSecond = tokenRate(stage, nowMs);
  const left = msLeft(stage, nowMs);
  const rates = [
    ...(perSecond === null ? [] : [rateText(perSecond, stage.unit)]),
    ...(tokensPerSecond === null ? [] : [`${Math.round(tokensPerSecond).toLocaleString('en-US')} tok/s`]),
  ];
  return [
    stageTitle(stage),
    stage.state,
    stage.state === 'waiting' ? '' : `${stage.done}/${stage.total} ${stage.unit}`,
    rates.join(', '),
    left === null ? '' : duration(left),
    stage.tokens > 0 ? stage.tokens.toLocaleString('en-US') : '',
    inMarkdown(stage.note ?? ''),
  ];
}

/** `2.4/s`, or `3.1/min` where a second sees less than one. */
function rateText(perSecond: number, unit: string): string {
  const one = unit.replace(/s$/, '');
  return perSecond >= 1 ? `${perSecond.toFixed(1)} ${unit}/s` : `${(perSecond * 60).toFixed(1)} ${one}s/min`;
}

function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  return seconds < 3600 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/** What the run decides next, and on what. */
function nextDecision(stages: readonly StageProgress[], paused: boolean, next: string | undefined): string[] {
  const now = stages.find(({ state }) => isUnderWay(state));
  if (now?.state === 'attention') return ['Next decision: yours.'];
  if (paused) return ['Next decision: yours, the update `resume`.'];
  const after = next === undefined ? '' : `, then ${next}`;
  if (now === undefined) return next === undefined ? [] : [`Next: ${next}`];
  return [`Next decision: ${decisionOf(now)}${after}`];
}

function decisionOf({ name, done, total }: StageProgress): string {
  switch (name) {
    case 'search':
      return 'each problem ends when it has answers enough, or with its last round';
    case 'linearize':
      return 'a tree gives rows if it holds a sound right answer and a sound wrong one';
    case 'rl':
      return `after iteration ${done + 1} of ${total} the guards look at loss, log-probability gap, entropy and reward: go on, or end this arm`;
    case 'sft':
    case 'evaluate':
    case 'report':
      return 'none before its end';
  }
}

const pausedNote = '**Paused.** Nothing new is begun until the update `resume`.';

/** Under the table: what a person is asked, and how to answer. */
function whatToDo(stage: StageProgress): string[] {
  if (stage.state !== 'attention' || stage.attention === undefined) return [];
  const { what, why, sinceMs, offers, refuses } = stage.attention;
  const since = new Date(sinceMs).toISOString();
  return [
    `**Needs attention** since ${since}: ${stageTitle(stage)}, ${inMarkdown(what)}`,
    asMarkdownBlock(why),
    'Send the update `resolve` with one of',
    Object.entries(offers)
      .map(([action, effect]) => `- \`{ "action": "${action}" }\` ${effect}`)
      .join('\n'),
    ...Object.entries(refuses).map(([action, reason]) => `Not possible: ${action}, since ${reason}.`),
  ];
}
