import { continueAsNew } from '@temporalio/workflow';
import { artifactNames, type LinearizePlan } from '../config/plan.ts';
import { noUsage } from '../core/usage.ts';
import { cpuActivities } from './activities.ts';
import { narratePage } from './narrate-page.ts';
import { historyIsLong, planOf, runStage, type StageInput, type StageOutcome } from './stage.ts';

/** Carried from run to run when the workflow continues as new: parts of earlier pages are stored. */
interface LinearizeState {
  first: number;
  startedAtMs: number;
  /** Sampled by judge and narrator so far, for the progress. */
  tokens?: number;
}

/** Most events of one tree's activity (3, and 3 of its workflow task), and a share of the stage's news. */
const eventsPerTree = 7;

/** Trees → training rows for both arms, and the funnel that says what became of every problem (Algorithm 1). */
export async function linearizeCorpus(
  input: StageInput<LinearizePlan> & { state?: LinearizeState } = {},
): Promise<StageOutcome> {
  const plan = await planOf(input, (resolved) => resolved.plan.linearize);
  const { run, key } = plan;
  const total = plan.search.problems.count;
  const resultName = artifactNames.result('linearize', key);
  const { first: start, startedAtMs, tokens: before = 0 } = input?.state ?? { first: 0, startedAtMs: Date.now() };

  const stage = { name: 'linearize' as const, run, key, resultName, total, unit: 'trees', startedAtMs, done: start };
  return runStage({ ...stage, tokens: before }, async (track) => {
    const { linearizePage, mergeRows } = cpuActivities();
    const { pageSize } = plan.search.params;
    const { roles } = plan;
    let tokens = before;
    for (let first = start; first < total; first += pageSize) {
      if (historyIsLong(roles && first > start ? eventsPerTree * pageSize : undefined))
        await continueAsNew<typeof linearizeCorpus>({ plan, state: { first, startedAtMs, tokens } });
      if (roles === undefined) await linearizePage({ plan, first });
      else {
        let done = first;
        const failures = await narratePage({ ...plan, roles }, first, (sampled) => {
          done += 1;
          tokens += sampled;
          void track.update({ done, tokens });
        });
        await linearizePage({ plan, first, failures });
      }
      await track.update({ done: Math.min(total, first + pageSize) });
    }
    const funnel = await mergeRows({ plan });
    await track.update({ note: `${funnel.searchRows} search rows, ${funnel.directRows} direct rows` });
    return { usage: funnel.language?.usage ?? noUsage, funnel };
  });
}
