import { executeChild, setCurrentDetails, setHandler } from '@temporalio/workflow';
import type { Plan } from '../config/plan.ts';
import type { Progress, StageName, StageProgress } from '../core/progress.ts';
import { progressTable, stageTitle } from './progress-table.ts';
import { progressQuery, type StageOutcome, stageProgressSignal } from './stage.ts';

type StageWorkflow<P> = (input: { plan: P }) => Promise<StageOutcome>;

/** All stages of a run as the root sees them: started one by one, kept up to date by their signals. */
export function createBoard() {
  let progress: Progress = { run: '', stages: [] };
  const outcomes: { name: StageName; arm?: string; reused: boolean }[] = [];

  const show = () => {
    const next = progress.stages.find((stage) => stage.state === 'waiting');
    setCurrentDetails(progressTable(progress.stages, next && stageTitle(next)));
  };
  const find = (name: StageName, arm?: string) =>
    progress.stages.find((stage) => stage.name === name && stage.arm === arm);
  const change = (name: StageName, arm: string | undefined, update: Partial<StageProgress>) => {
    const stage = find(name, arm);
    if (stage !== undefined) Object.assign(stage, update);
    show();
  };

  setHandler(progressQuery, () => progress, { description: 'All stages: state, counts, tokens' });
  setHandler(
    stageProgressSignal,
    (news) => {
      // Signals may overtake each other; after its end a stage has no news.
      if (find(news.name, news.arm)?.state === 'running') change(news.name, news.arm, news);
    },
    { description: 'Sent by the stages as they advance' },
  );

  return {
    open(plan: Plan): void {
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
      show();
    },

    /** Runs one stage as a child named after the run, the stage and the arm. */
    async run<P extends { run: string; arm?: string }>(
      name: StageName,
      workflow: StageWorkflow<P>,
      plan: P,
    ): Promise<void> {
      const { run, arm } = plan;
      change(name, arm, { state: 'running', startedAtMs: Date.now() });
      try {
        const { reused, usage, endedAtMs } = await executeChild(workflow, {
          workflowId: ['astro', run, name, arm].filter((part) => part !== undefined).join('/'),
          args: [{ plan }],
          staticSummary: `${run}: ${stageTitle({ name, ...(arm && { arm }) })}`,
        });
        outcomes.push({ name, ...(arm && { arm }), reused });
        change(name, arm, {
          state: reused ? 'reused' : 'done',
          done: find(name, arm)?.total ?? 0,
          ...(usage.calls > 0 && { tokens: usage.completionTokens }),
          endedAtMs: reused ? Date.now() : endedAtMs,
        });
      } catch (error) {
        change(name, arm, { state: 'failed' });
        throw error;
      }
    },

    /** A last step of the root's own, shown like a stage. */
    async during<T>(name: StageName, body: () => Promise<T>): Promise<T> {
      change(name, undefined, { state: 'running', startedAtMs: Date.now() });
      const result = await body();
      change(name, undefined, { state: 'done', done: 1, endedAtMs: Date.now() });
      return result;
    },

    /** Which of this run's stages were made by an earlier one. */
    outcomes: () => outcomes,
  };
}
