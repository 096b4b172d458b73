import type { ActivityDeps } from './deps.ts';
import { createEvaluateActivities } from './evaluate.ts';
import { createJobTrainingActivities } from './job-training.ts';
import { createLinearizeActivities } from './linearize.ts';
import { createNarrateActivities } from './narrate.ts';
import { createReinforceActivities } from './reinforce.ts';
import { createResolveConfigActivity } from './resolve-config.ts';
import { createResultActivities } from './results.ts';
import { createSearchActivities } from './search.ts';
import { createSummaryActivity } from './summary.ts';
import { createTrainActivities } from './train.ts';

export function createActivities(deps: ActivityDeps) {
  return {
    ...createResolveConfigActivity(deps),
    ...createResultActivities(deps),
    ...createSearchActivities(deps),
    ...createLinearizeActivities(deps),
    ...createNarrateActivities(deps),
    ...createTrainActivities(deps),
    ...createReinforceActivities(deps),
    ...createJobTrainingActivities(deps),
    ...createEvaluateActivities(deps),
    ...createSummaryActivity(deps),
  };
}

export type Activities = ReturnType<typeof createActivities>;
