import {
  CancelledFailure,
  defineQuery,
  defineSignal,
  getExternalWorkflowHandle,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { ResolvedInput } from '../activities/resolve-config.ts';
import type { StoredStageResult } from '../activities/results.ts';
import type { RunConfigInput } from '../config/schema.ts';
import type { Progress, StageProgress } from '../core/progress.ts';
import { shortActivities } from './activities.ts';
import { progressTable } from './progress-table.ts';

/** Input of every stage: its slice of a plan (as a child), or a configuration (started by a person). */
export type StageInput<P> = { plan: P } | (RunConfigInput & { arm?: 'search' | 'direct'; problem?: number });

export const progressQuery = defineQuery<Progress>('progress');
export const stageProgressSignal = defineSignal<[StageProgress]>('stageProgress');

/** A stage started by a person resolves its configuration first; a child was given its plan and does not check again. */
export async function planOf<P>(input: StageInput<P>, slice: (resolved: ResolvedInput) => P): Promise<P> {
  if ('plan' in input && input.plan !== undefined) return input.plan as P;
  return slice(await resolveInput(input));
}

export function resolveInput(input: unknown): Promise<ResolvedInput> {
  const { workflowId, workflowType } = workflowInfo();
  return shortActivities().resolveConfig.executeWithOptions({ summary: 'check the configuration' }, [
    { input: input ?? {}, workflowId, workflowType },
  ]);
}

/** Progress of the running stage: its own query and details, and signals to the workflow that started it. */
export function trackStage(initial: Omit<StageProgress, 'state' | 'done' | 'tokens'>, run: string) {
  const stage: StageProgress = {
    state: 'running',
    done: 0,
    tokens: 0,
    ...initial,
    startedAtMs: initial.startedAtMs ?? Date.now(),
  };
  const parent = workflowInfo().parent;
  setHandler(progressQuery, () => ({ run, stages: [stage] }), {
    description: 'Counts, tokens and state of this stage',
  });

  async function update(change: Partial<StageProgress>): Promise<void> {
    Object.assign(stage, change);
    setCurrentDetails(progressTable([stage]));
    if (parent === undefined) return;
    try {
      await getExternalWorkflowHandle(parent.workflowId).signal(stageProgressSignal, stage);
    } catch (error) {
      // A parent that is gone needs no news.
      if (error instanceof CancelledFailure) throw error;
    }
  }
  return { stage, update };
}

/** What a stage gives back: its stored result, and whether an earlier run had made it. */
export type StageOutcome = StoredStageResult & { reused: boolean };

/**
 * One stage as a whole: a result that exists already is used again; else `body` makes it, and storing it is the
 * commit. `body` gets the progress tracker and returns everything of the result but its times.
 */
export async function runStage(
  options: {
    name: StageProgress['name'];
    arm?: string;
    run: string;
    key: string;
    resultName: string;
    total: number;
    unit: string;
    startedAtMs?: number;
  },
  body: (track: ReturnType<typeof trackStage>) => Promise<Omit<StoredStageResult, StageFrame>>,
): Promise<StageOutcome> {
  const { name, arm, run, key, resultName, total, unit } = options;
  const track = trackStage(
    { name, total, unit, ...(arm && { arm }), ...(options.startedAtMs && { startedAtMs: options.startedAtMs }) },
    run,
  );
  await track.update({});
  const { findResult, storeResult } = shortActivities();
  const earlier = await findResult.executeWithOptions({ summary: 'is it there already?' }, [{ name: resultName }]);
  if (earlier !== null) {
    await track.update({ state: 'reused', done: total, tokens: tokensOf(earlier), endedAtMs: Date.now() });
    return { ...earlier, reused: true };
  }
  const content = await body(track);
  const result = await storeResult({
    name: resultName,
    result: {
      schema: 'astroflow.stage-result/1',
      stage: name,
      ...(arm && { arm }),
      key,
      startedAtMs: track.stage.startedAtMs ?? 0,
      endedAtMs: Date.now(),
      ...content,
    },
  });
  await track.update({ state: 'done', done: track.stage.total, tokens: tokensOf(result), endedAtMs: result.endedAtMs });
  return { ...result, reused: false };
}

type StageFrame = 'schema' | 'stage' | 'arm' | 'key' | 'startedAtMs' | 'endedAtMs';

function tokensOf(result: StoredStageResult): number {
  return result.usage.completionTokens;
}
