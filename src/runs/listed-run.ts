import { isUnderWay } from '../core/progress.ts';
import { isFinished, type RunStatus, stageLabel } from './status.ts';

/** One line of a list of runs. */
export interface ListedRun {
  run: string;
  workflowId: string;
  /** The workflow's, or `stored: finished` and `stored: unfinished` for runs that no server knows. */
  state: string;
  /** Which stages are under way; the one that comes next, or failed, where none is. */
  stage: string;
  startedAt: string | null;
  attention: string[];
}

export function listed(of: RunStatus): ListedRun {
  const { run, workflowId, status, stages, startedAt, attention } = of;
  const now = stages.filter(({ state }) => isUnderWay(state) || state === 'begun' || state === 'failed');
  const next = stages.find(({ state }) => state === 'waiting');
  const shown = now.length > 0 || next === undefined ? now : [next];
  return {
    run,
    workflowId,
    state: status ?? (isFinished(of) ? 'stored: finished' : 'stored: unfinished'),
    stage: isFinished(of)
      ? ''
      : shown.map((stage) => `${stageLabel(stage)} ${Math.floor(stage.share * 100)}%`).join(', '),
    startedAt,
    attention: attention.map(({ stage, what }) => (stage === undefined ? what : `${stage}: ${what}`)),
  };
}
