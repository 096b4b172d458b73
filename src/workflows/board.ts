import { executeChild, setCurrentDetails, setHandler, workflowInfo } from '@temporalio/workflow';
import type { ResolvedInput } from '../activities/resolve-config.ts';
import type { RunConfig } from '../config/schema.ts';
import { isUnderWay, type Progress, type StageName, type StageProgress } from '../core/progress.ts';
import { outsideStages } from '../core/search-attributes.ts';
import type { Control } from './control.ts';
import { isLostChild } from './failures.ts';
import { ownShare } from './fair-share.ts';
import { progressTable, stageTitle } from './progress-table.ts';
import { inheritedAttributes, markStage } from './search-attributes.ts';
import { configQuery, progressQuery, type StageOutcome, stageProgressSignal } from './stage.ts';

type Stage = Pick<StageProgress, 'name' | 'arm'>;
type StageWorkflow<P> = (input: { plan: P }) => Promise<StageOutcome>;

/** All stages of a run as the root sees them: started one by one, kept up to date by their signals. */
export function createBoard(control: Control) {
  let progress: Progress = { run: '', stages: [] };
  let config: RunConfig | null = null;
  const { workflowId } = workflowInfo();
  const outcomes: { name: StageName; arm?: string; reused: boolean }[] = [];

  const show = () => {
    const next = progress.stages.find((stage) => stage.state === 'waiting');
    const options = { paused: control.isPaused(), next: next && stageTitle(next), nowMs: Date.now() };
    setCurrentDetails(progressTable(progress.stages, options));
  };
  const find = (name: StageName, arm?: string) =>
    progress.stages.find((stage) => stage.name === name && stage.arm === arm);
  const change = (name: StageName, arm: string | undefined, update: Partial<StageProgress>) => {
    const stage = find(name, arm);
    if (stage !== undefined) Object.assign(stage, update);
    show();
  };
  const childId = ({ name, arm }: Stage) =>
    ['astro', progress.run, name, arm].filter((part) => part !== undefined).join('/');
  /** What is asked and whether the run is paused, on the stage that is under way. */
  const refresh = () => {
    const stage = progress.stages.find(({ state }) => isUnderWay(state));
    if (stage === undefined) return show();
    change(stage.name, stage.arm, { state: control.state(), attention: control.attention() });
  };

  setHandler(progressQuery, () => ({ ...progress, workflowId, ...(control.isPaused() && { paused: true }) }), {
    description: 'All stages: state, counts, tokens, what needs attention',
  });
  setHandler(configQuery, () => config, { description: 'The configuration, defaults written out, without secrets' });
  setHandler(
    stageProgressSignal,
    (news) => {
      const stage = find(news.name, news.arm);
      // Signals may overtake each other; after its end a stage has no news.
      if (stage === undefined || !isUnderWay(stage.state)) return;
      if ((news.revision ?? 0) < (stage.revision ?? 0)) return;
      change(news.name, news.arm, news);
      if (!isUnderWay(news.state)) return;
      control.childAsks(childId(stage), news.attention);
      if (news.state !== 'paused' || control.attention() !== undefined) refresh();
    },
    { description: 'Sent by the stages as they advance' },
  );

  return {
    open({ plan, config: resolved }: ResolvedInput): void {
      config = resolved ?? null;
      const waiting = (name: StageName, total: number, unit: string, arm?: string): StageProgress => ({
        name,
        ...(arm && { arm }),
        state: 'waiting',
        done: 0,
        total,
        unit,
        tokens: 0,
      });
      const arms = plan.arms.flatMap((arm) => {
        const { iterations } = plan.rl[arm].params;
        const sft = waiting('sft', plan.sft[arm].params.steps, 'steps', arm);
        return iterations === 0 ? [sft] : [sft, waiting('rl', iterations, 'iterations', arm)];
      });
      const problems = plan.search.problems.count;
      progress = {
        run: plan.run,
        stages: [
          waiting('search', problems, 'problems'),
          waiting('linearize', problems, 'trees'),
          ...arms,
          waiting('evaluate', 0, 'answers'),
          waiting('report', 1, 'report'),
        ],
      };
      control.begin(plan.onFailure, refresh);
      show();
    },

    /** Runs one stage as a child named after the run, the stage and the arm. */
    async run<P extends { run: string; arm?: string }>(
      name: StageName,
      workflow: StageWorkflow<P>,
      plan: P,
    ): Promise<void> {
      const { run, arm } = plan;
      const title = stageTitle({ name, ...(arm && { arm }) });
      const workflowId = childId({ name, ...(arm && { arm }) });
      const child = async () => {
        control.adopt(workflowId);
        try {
          return await executeChild(workflow, {
            workflowId,
            args: [{ plan }],
            staticSummary: `${run}: ${title}`,
            ...ownShare(),
            ...inheritedAttributes(title),
          });
        } finally {
          control.drop(workflowId);
        }
      };
      markStage(title);
      change(name, arm, { state: control.state(), startedAtMs: Date.now() });
      try {
        // What failed inside the stage was asked there; here only that the stage itself was ended by somebody.
        const { reused, usage, endedAtMs } = await control.step('the stage itself', child, { isAsked: isLostChild });
        outcomes.push({ name, ...(arm && { arm }), reused });
        change(name, arm, {
          state: reused ? 'reused' : 'done',
          done: find(name, arm)?.total ?? 0,
          ...(usage.calls > 0 && { tokens: usage.completionTokens }),
          attention: undefined,
          endedAtMs: reused ? Date.now() : endedAtMs,
        });
      } catch (error) {
        change(name, arm, { state: 'failed', attention: undefined });
        throw error;
      }
    },

    /** A last step of the root's own, shown like a stage. */
    async during<T>(name: StageName, body: () => Promise<T>): Promise<T> {
      markStage(stageTitle({ name }));
      change(name, undefined, { state: control.state(), startedAtMs: Date.now() });
      const result = await control.step('writing it', body);
      change(name, undefined, { state: 'done', done: 1, endedAtMs: Date.now() });
      markStage(outsideStages.after);
      return result;
    },

    /** Which of this run's stages were made by an earlier one. */
    outcomes: () => outcomes,
  };
}
