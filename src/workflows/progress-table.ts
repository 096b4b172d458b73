import type { StageProgress } from '../core/progress.ts';

/** A stage's name for people: `rl search`. */
export function stageTitle(stage: Pick<StageProgress, 'name' | 'arm'>): string {
  return stage.arm === undefined ? stage.name : `${stage.name} ${stage.arm}`;
}

/** Markdown for a workflow's current details; the Temporal UI renders tables. */
export function progressTable(
  stages: readonly StageProgress[],
  { paused = false, next }: { paused?: boolean; next?: string | undefined } = {},
): string {
  const rows = stages.map((stage) => {
    const counts = stage.state === 'waiting' ? '' : `${stage.done}/${stage.total} ${stage.unit}`;
    const tokens = stage.tokens > 0 ? stage.tokens.toLocaleString('en-US') : '';
    return `| ${stageTitle(stage)} | ${stage.state} | ${counts} | ${tokens} | ${stage.note ?? ''} |`;
  });
  const table = ['| stage | state | done | tokens | |', '| --- | --- | --- | ---: | --- |', ...rows].join('\n');
  const notes = [...(paused ? [pausedNote] : []), ...stages.flatMap(whatToDo)];
  return [table, ...notes, ...(next === undefined ? [] : [`Next: ${next}`])].join('\n\n');
}

const pausedNote = '**Paused.** Nothing new is begun until the update `resume`.';

/** Under the table: what a person is asked, and how to answer. */
function whatToDo(stage: StageProgress): string[] {
  if (stage.state !== 'attention' || stage.attention === undefined) return [];
  const { what, why, sinceMs, offers, refuses } = stage.attention;
  const since = new Date(sinceMs).toISOString();
  return [
    `**Needs attention** since ${since}: ${stageTitle(stage)}, ${what}`,
    `> ${why.replaceAll('\n', '\n> ')}`,
    'Send the update `resolve` with one of',
    Object.entries(offers)
      .map(([action, effect]) => `- \`{ "action": "${action}" }\` ${effect}`)
      .join('\n'),
    ...Object.entries(refuses).map(([action, reason]) => `Not possible: ${action}, since ${reason}.`),
  ];
}
