import { artifactNames, type LinearizePlan } from '../config/plan.ts';
import { noUsage } from '../core/usage.ts';
import { cpuActivities } from './activities.ts';
import { planOf, runStage, type StageInput, type StageOutcome } from './stage.ts';

/** Trees → training rows for both arms, and the funnel that says what became of every problem (Algorithm 1). */
export async function linearizeCorpus(input: StageInput<LinearizePlan> = {}): Promise<StageOutcome> {
  const plan = await planOf(input, (resolved) => resolved.plan.linearize);
  const { run, key } = plan;
  const total = plan.search.problems.count;
  const resultName = artifactNames.result('linearize', key);

  return runStage({ name: 'linearize', run, key, resultName, total, unit: 'trees' }, async (track) => {
    const { linearizePage, mergeRows } = cpuActivities();
    const { pageSize } = plan.search.params;
    for (let first = 0; first < total; first += pageSize) {
      await linearizePage({ plan, first });
      await track.update({ done: Math.min(total, first + pageSize) });
    }
    const funnel = await mergeRows({ plan });
    await track.update({ note: `${funnel.searchRows} search rows, ${funnel.directRows} direct rows` });
    return { usage: noUsage, funnel };
  });
}
