import type { Plan, SearchPlan } from '../config/plan.ts';
import type { Problem } from '../core/problem.ts';
import { findPlan, runNameOf } from '../runs/plans.ts';
import { findProblem } from '../runs/problems.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import { CliError } from './errors.ts';
import { unknownRun } from './look.ts';

/** @throws CliError that names the runs there are */
export async function storedPlan(store: ArtifactStore, run: string): Promise<Plan> {
  const name = runNameOf(run);
  const plan = name === null ? null : await findPlan(store, name);
  if (plan === null) throw await unknownRun(store, run, 'this command reads what is stored');
  return plan;
}

/** @throws CliError with the problems that may have been meant */
export async function storedProblem(
  store: ArtifactStore,
  search: SearchPlan,
  text: string,
): Promise<{ number: number; problem: Problem }> {
  const problems = await store.getLines<Problem>(search.problems);
  const found = findProblem(search, problems, text);
  if ('number' in found) return { number: found.number, problem: problems[found.number] as Problem };
  throw new CliError(
    `"${text}" is not one problem of ${search.run}, which searches ${problems.length}. By row, slug or words, for ` +
      `example:\n${found.suggestions.map((line) => `  ${line}`).join('\n')}`,
  );
}
