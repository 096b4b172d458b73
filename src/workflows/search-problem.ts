import type { SearchProgress } from '../activities/search.ts';
import type { SearchPlan } from '../config/plan.ts';
import { sampleActivities } from './activities.ts';
import { resolveInput, type StageInput } from './stage.ts';

/** Searches one problem, `roundsPerActivity` rounds a step. By hand: the configuration and `problem`, its row from 0. */
export async function searchProblem(
  input: StageInput<SearchPlan> & { problem?: number } = {},
): Promise<SearchProgress> {
  let search: SearchPlan;
  let index: number;
  if ('plan' in input && input.plan !== undefined) {
    search = input.plan as SearchPlan;
    index = input.problem ?? 0;
  } else {
    const resolved = await resolveInput(input);
    search = resolved.plan.search;
    index = resolved.problem;
  }
  const { searchRounds } = sampleActivities();
  let progress: SearchProgress;
  do {
    progress = await searchRounds({ search, index, maxRounds: search.params.roundsPerActivity });
  } while (!progress.finished);
  return progress;
}
