import { continueAsNew } from '@temporalio/workflow';
import { artifactNames, type LinearizePlan } from '../config/plan.ts';
import { noUsage } from '../core/usage.ts';
import { cpuActivities } from './activities.ts';
import { historyIsLong, planOf, runStage, type StageInput, type StageOutcome } from './stage.ts';

/** Carried from run to run when the workflow continues as new: parts of earlier pages are stored. */
interface LinearizeState {
  first: number;
  startedAtMs: number;
}

/** Trees → training rows for both arms, and the funnel that says what became of every problem (Algorithm 1). */
export async function linearizeCorpus(
  input: StageInput<LinearizePlan> & { state?: LinearizeState } = {},
): Promise<StageOutcome> {
  const plan = await planOf(input, (resolved) => resolved.plan.linearize);
  const { run, key } = plan;
  const total = plan.search.problems.count;
  const resultName = artifactNames.result('linearize', key);
  const { first: start, startedAtMs } = input?.state ?? { first: 0, startedAtMs: Date.now() };

  const stage = { name: 'linearize' as const, run, key, resultName, total, unit: 'trees', startedAtMs, done: start };
  return runStage(stage, async (track) => {
    const { linearizePage, mergeRows } = cpuActivities();
    const { pageSize } = plan.search.params;
    for (let first = start; first < total; first += pageSize) {
      if (historyIsLong()) await continueAsNew<typeof linearizeCorpus>({ plan, state: { first, startedAtMs } });
      await linearizePage({ plan, first });
      await track.update({ done: Math.min(total, first + pageSize) });
    }
    const funnel = await mergeRows({ plan });
    await track.update({ note: `${funnel.searchRows} search rows, ${funnel.directRows} direct rows` });
    return { usage: noUsage, funnel };
  });
}
