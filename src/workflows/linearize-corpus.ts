import { continueAsNew } from '@temporalio/workflow';
import { artifactNames, type LinearizePlan } from '../config/plan.ts';
import { noUsage } from '../core/usage.ts';
import { cpuActivities } from './activities.ts';
import { createControl } from './control.ts';
import { isServiceFault } from './failures.ts';
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
  const control = createControl(input);
  const plan = await planOf(input, (resolved) => resolved.plan.linearize);
  const { run, key, onFailure } = plan;
  const total = plan.search.problems.count;
  const resultName = artifactNames.result('linearize', key);
  const { first: start, startedAtMs, tokens: before = 0 } = input?.state ?? { first: 0, startedAtMs: Date.now() };

  const names = { name: 'linearize' as const, run, key, onFailure, resultName };
  const sofar = { startedAtMs, done: start, tokens: before };
  return runStage({ ...names, total, unit: 'trees', ...sofar }, control, async (track) => {
    const { linearizePage, mergeRows } = cpuActivities();
    const { pageSize } = plan.search.params;
    const { roles } = plan;
    let tokens = before;
    for (let first = start; first < total; first += pageSize) {
      if (historyIsLong(roles && first > start ? eventsPerTree * pageSize : undefined))
        await continueAsNew<typeof linearizeCorpus>({
          plan,
          state: { first, startedAtMs, tokens },
          ...control.carried(),
        });
      const page = `trees ${first} to ${Math.min(total, first + pageSize) - 1}`;
      if (roles === undefined) await control.step(page, () => linearizePage({ plan, first }));
      else {
        const narrated = () => {
          let done = first;
          return narratePage({ ...plan, roles }, first, control, (sampled) => {
            done += 1;
            tokens += sampled;
            void track.update({ done, tokens });
          });
        };
        // What the service did was asked about tree by tree.
        const failures = await control.step(page, narrated, { isAsked: (error) => !isServiceFault(error) });
        await control.step(page, () => linearizePage({ plan, first, failures }));
      }
      await track.update({ done: Math.min(total, first + pageSize) });
    }
    const funnel = await control.step('putting the rows together', () => mergeRows({ plan }));
    await track.update({ note: `${funnel.searchRows} search rows, ${funnel.directRows} direct rows` });
    return { usage: funnel.language?.usage ?? noUsage, funnel };
  });
}
