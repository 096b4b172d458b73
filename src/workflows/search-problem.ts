import { condition, continueAsNew, setCurrentDetails } from '@temporalio/workflow';
import type { SearchProgress } from '../activities/search.ts';
import type { SearchPlan } from '../config/plan.ts';
import { sampleActivities } from './activities.ts';
import { createControl } from './control.ts';
import { givenPlan, historyIsLong, resolveInput, type StageInput } from './stage.ts';

/** Searches one problem, `roundsPerActivity` rounds a step. By hand: the configuration and `problem`, its row from 0. */
export async function searchProblem(
  input: StageInput<SearchPlan> & { problem?: number } = {},
): Promise<SearchProgress> {
  const control = createControl(input);
  const given = givenPlan<SearchPlan>(input);
  const { search, index } = given ? { search: given, index: input.problem ?? 0 } : await resolveSearch(input);
  const { searchRounds } = sampleActivities();
  let progress: SearchProgress;
  do {
    if (historyIsLong())
      await continueAsNew<typeof searchProblem>({ plan: search, problem: index, ...control.carried() });
    if (!control.isFree()) await condition(control.isFree);
    progress = await searchRounds({ search, index, maxRounds: search.params.roundsPerActivity });
    setCurrentDetails(searchDetails(progress, search, index));
  } while (!progress.finished);
  return progress;
}

function searchDetails(progress: SearchProgress, { run, params }: SearchPlan, index: number): string {
  const { problemId, rounds, nodes, solved, finished, usage } = progress;
  const state = finished ? 'finished' : `of at most ${params.rounds}`;
  return [
    `Problem \`${problemId}\`: ${rounds} rounds (${state}), ${nodes} nodes, ${solved ? 'solved' : 'not solved yet'}, ` +
      `${usage.completionTokens.toLocaleString('en-US')} tokens.`,
    `The tree: \`npx astroflow tree ${run} ${index}\``,
  ].join('\n\n');
}

async function resolveSearch(input: unknown): Promise<{ search: SearchPlan; index: number }> {
  const { plan, problem } = await resolveInput(input);
  return { search: plan.search, index: problem };
}
