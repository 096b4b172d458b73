import type { StageProgress } from '../core/progress.ts';

/** A stage's name for people: `rl search`. */
export function stageTitle(stage: Pick<StageProgress, 'name' | 'arm'>): string {
  return stage.arm === undefined ? stage.name : `${stage.name} ${stage.arm}`;
}

/** Markdown for a workflow's current details; the Temporal UI renders tables. */
export function progressTable(stages: readonly StageProgress[], next?: string): string {
  const rows = stages.map((stage) => {
    const counts = stage.state === 'waiting' ? '' : `${stage.done}/${stage.total} ${stage.unit}`;
    const tokens = stage.tokens > 0 ? stage.tokens.toLocaleString('en-US') : '';
    return `| ${stageTitle(stage)} | ${stage.state} | ${counts} | ${tokens} | ${stage.note ?? ''} |`;
  });
  const table = ['| stage | state | done | tokens | |', '| --- | --- | --- | ---: | --- |', ...rows].join('\n');
  return next === undefined ? table : `${table}\n\nNext: ${next}`;
}
