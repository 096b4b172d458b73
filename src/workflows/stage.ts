import {
  ContinueAsNew,
  defineQuery,
  defineSignal,
  getExternalWorkflowHandle,
  isCancellation,
  log,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { ResolvedInput } from '../activities/resolve-config.ts';
import type { StoredStageResult } from '../activities/results.ts';
import type { OnFailure } from '../config/plan.ts';
import type { RunConfig, RunConfigInput } from '../config/schema.ts';
import { isUnderWay, type Progress, type StageProgress } from '../core/progress.ts';
import { shortActivities, wholeSetActivities } from './activities.ts';
import type { Control } from './control.ts';
import { rootMessage } from './failures.ts';
import { workflowMetrics } from './metrics.ts';
import { progressTable, stageTitle } from './progress-table.ts';
import { markStage } from './search-attributes.ts';

/** Input of every stage: its slice of a plan (as a child), or a configuration (started by a person). */
export type StageInput<P> =
  | { plan: P /** Continues a run that was paused. */; paused?: boolean }
  | (RunConfigInput & { arm?: 'search' | 'direct'; problem?: number });

export const progressQuery = defineQuery<Progress>('progress');
/** Null before the configuration was checked. */
export const configQuery = defineQuery<RunConfig | null>('config');
export const stageProgressSignal = defineSignal<[StageProgress]>('stageProgress');

/** A stage started by a person resolves its configuration first; a child was given its plan and does not check again. */
export async function planOf<P>(input: StageInput<P>, slice: (resolved: ResolvedInput) => P): Promise<P> {
  return givenPlan<P>(input) ?? slice(await resolveInput(input));
}

/** The plan in an input that holds one. People can send anything, also `null` or text: that is for the activity to say. */
export function givenPlan<P>(input: unknown): P | undefined {
  if (typeof input !== 'object' || input === null || !('plan' in input)) return undefined;
  const { plan } = input;
  return typeof plan === 'object' && plan !== null && 'key' in plan ? (plan as P) : undefined;
}

/** Workflows that can take more steps than one history should hold (2,000 events) continue as new before `ahead` more. */
export const historyIsLong = (ahead = 300) => workflowInfo().historyLength + ahead > 2_000;

export function resolveInput(input: unknown): Promise<ResolvedInput> {
  const { workflowId, workflowType } = workflowInfo();
  return wholeSetActivities().resolveConfig.executeWithOptions({ summary: 'check the configuration' }, [
    { input: input ?? {}, workflowId, workflowType },
  ]);
}

/** News that a stage sends to its parent, about: each costs the parent up to four events, the pipeline's root too. */
const newsPerStage = 40;

/** Revisions count on from the run's start, so that those of a run that continues another are larger. */
const newsPerMs = 1000;

type StageStart = Omit<StageProgress, 'state' | 'done' | 'tokens'> & { done?: number; tokens?: number };

/**
 * Progress of the running stage: its own query and details, and signals to the workflow that started it. News go out
 * when the state changes and every `newsEvery` of what the stage counts, beginning behind `reported`.
 */
export function trackStage(
  initial: StageStart,
  { run, onFailure }: { run: string; onFailure?: OnFailure },
  control: Control,
  {
    newsEvery = Math.ceil(initial.total / newsPerStage),
    reported,
  }: { newsEvery?: number; reported?: number | undefined } = {},
) {
  const stage: StageProgress = {
    state: control.state(),
    done: 0,
    tokens: 0,
    ...initial,
  };
  markStage(stageTitle(initial));
  const { parent, workflowId, runStartTime } = workflowInfo();
  setHandler(progressQuery, () => ({ run, workflowId, ...(control.isPaused() && { paused: true }), stages: [stage] }), {
    description: 'Counts, tokens and state of this stage',
  });

  let revision = runStartTime.getTime() * newsPerMs;
  control.begin(onFailure, () => void update({}, true));

  /** A shard's part of the stage is counted by the stage itself. */
  function showStage(): void {
    if (stage.note?.startsWith('shard-')) return;
    const labels = { run, stage: stage.name, arm: stage.arm ?? '' };
    workflowMetrics().set('astroflow_stage_done', stage.done, labels);
    workflowMetrics().set('astroflow_stage_total', stage.total, labels);
    // There before the first question, or Prometheus takes that for the series' beginning.
    workflowMetrics().add('astroflow_questions', 0, labels);
  }

  /** Never fails: a parent that is gone needs no news, and a cancelled stage notices at its next step. */
  async function update(change: Partial<StageProgress>, isChange = change.state !== undefined): Promise<void> {
    Object.assign(stage, change);
    if (isUnderWay(stage.state)) {
      stage.state = control.state();
      stage.attention = control.attention();
    }
    showStage();
    setCurrentDetails(progressTable([stage], { paused: control.isPaused(), nowMs: Date.now() }));
    const isNews = reported === undefined || isChange || stage.done === stage.total;
    if (parent === undefined || !(isNews || stage.done - (reported ?? 0) >= newsEvery)) return;
    reported = stage.done;
    revision += 1;
    await getExternalWorkflowHandle(parent.workflowId)
      .signal(stageProgressSignal, { ...stage, revision })
      .catch(() => {});
  }
  return {
    stage,
    update,
    /** What the parent knows is done; undefined before the first news. */ reported: () => reported,
  };
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
    onFailure?: OnFailure | undefined;
    resultName: string;
    total: number;
    unit: string;
    /** Where a run that continues an earlier one begins. */
    startedAtMs?: number | undefined;
    done?: number;
    tokens?: number;
  },
  control: Control,
  body: (track: ReturnType<typeof trackStage>) => Promise<Omit<StoredStageResult, StageFrame>>,
): Promise<StageOutcome> {
  const { run, key, onFailure, resultName, startedAtMs = Date.now(), ...start } = options;
  const { name, arm, total } = start;
  const about = { run, stage: name, ...(arm !== undefined && { arm }) };
  const ended = (outcome: 'done' | 'reused' | 'failed') =>
    workflowMetrics().add('astroflow_stages', 1, { run, stage: name, arm: arm ?? '', outcome });
  const track = trackStage({ ...start, startedAtMs }, { run, ...(onFailure && { onFailure }) }, control);
  await track.update({});
  const { findResult, storeResult } = shortActivities();
  const earlier = await control.step('looking for an earlier result', () =>
    findResult.executeWithOptions({ summary: 'is it there already?' }, [{ name: resultName }]),
  );
  if (earlier !== null) {
    ended('reused');
    log.info(`stage ${name} was there already`, { ...about, key });
    await track.update({ state: 'reused', done: total, ...sampledBy(earlier), endedAtMs: Date.now() });
    return { ...earlier, reused: true };
  }
  log.info(`stage ${name} begins`, { ...about, key, done: track.stage.done, total });
  const content = await body(track).catch((error: unknown) => {
    if (!(error instanceof ContinueAsNew)) {
      track.stage.state = 'failed';
      ended('failed');
      if (!isCancellation(error)) log.error(`stage ${name} failed: ${rootMessage(error)}`, about);
    }
    throw error;
  });
  const result = await control.step("storing the stage's result", () =>
    storeResult({
      name: resultName,
      result: {
        schema: 'astroflow.stage-result/1',
        stage: name,
        ...(arm && { arm }),
        key,
        startedAtMs,
        endedAtMs: Date.now(),
        ...content,
      },
    }),
  );
  const seconds = Math.max(0, result.endedAtMs - result.startedAtMs) / 1000;
  ended('done');
  workflowMetrics().set('astroflow_stage_duration_seconds', seconds, { run, stage: name, arm: arm ?? '' });
  log.info(`stage ${name} is done`, { ...about, seconds, ...result.usage });
  await track.update({ state: 'done', done: total, ...sampledBy(result), endedAtMs: result.endedAtMs });
  return { ...result, reused: false };
}

type StageFrame = 'schema' | 'stage' | 'arm' | 'key' | 'startedAtMs' | 'endedAtMs';

/** Fine-tuning samples nothing; its count of trained tokens stays. */
function sampledBy({ usage }: StoredStageResult): Partial<StageProgress> {
  return usage.calls === 0 ? {} : { tokens: usage.completionTokens };
}
