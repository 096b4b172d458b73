import type { Plan } from '../config/plan.ts';
import type { ArtifactRef } from '../core/artifact.ts';
import type { Problem } from '../core/problem.ts';
import { getTask } from '../core/tasks/index.ts';
import type { ProblemSetUse } from '../report/summary-schema.ts';
import type { ArtifactStore } from '../services/store/store.ts';

/** Training problems whose families are compared; more would fill a worker's memory for one number. */
const mostCompared = 200_000;

/**
 * A run's problem sets, and how many problems of each benchmark are of a family that training saw. What a family is the
 * task says; where splits hold families apart the number is 0 (`test-problems` of Countdown shares its numbers by design).
 */
export async function problemSetsOf(plan: Plan, store: ArtifactStore): Promise<ProblemSetUse[]> {
  const task = getTask(plan.search.task);
  const rlPrompts = plan.arms.flatMap((arm) => plan.rl[arm].prompts ?? []).slice(0, 1);
  const training = [
    { set: 'search.problems', ref: plan.search.problems },
    ...rlPrompts.map((ref) => ({ set: 'rl.prompts', ref })),
  ];
  const total = training.reduce((sum, { ref }) => sum + ref.count, 0);
  const families = new Set<string>();
  const familiesOf = async (ref: ArtifactRef) =>
    (await store.getLines<Problem>(ref)).map((problem) => task.family(problem));
  if (total <= mostCompared)
    for (const { ref } of training) for (const family of await familiesOf(ref)) families.add(family);

  const sets = training.map(
    ({ set, ref }): ProblemSetUse => ({ set, use: 'training', ...sizeOf(ref), familiesInTraining: null }),
  );
  for (const { name, problems } of plan.evaluate.benchmarks) {
    const shared = (await familiesOf(problems)).filter((family) => families.has(family)).length;
    const familiesInTraining = total <= mostCompared ? shared : null;
    sets.push({ set: `evaluate.benchmarks.${name}`, use: 'test', ...sizeOf(problems), familiesInTraining });
  }
  return sets;
}

const sizeOf = ({ count, sha256 }: ArtifactRef) => ({ problems: count, sha256 });
