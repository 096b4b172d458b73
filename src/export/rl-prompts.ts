import { artifactNames, type RlPlan } from '../config/plan.ts';
import { promptRow, verlRow } from '../core/chat-rows.ts';
import type { Problem } from '../core/problem.ts';
import { getTask } from '../core/tasks/index.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import type { RowOf } from './columns.ts';
import { messages } from './messages.ts';

/** Prompts of reinforcement learning, as verl reads them. */
export const rlPromptColumns = {
  data_source: 'string',
  prompt: messages,
  ability: 'string',
  reward_model: { struct: { style: 'string', ground_truth: 'string' } },
  extra_info: { struct: { split: 'string', index: 'int32', problem_id: 'string' } },
} as const;

/** What an arm's reinforcement learning draws from; null where it is not known yet. */
export async function rlPrompts(
  store: ArtifactStore,
  plan: RlPlan,
): Promise<AsyncIterable<RowOf<typeof rlPromptColumns>> | null> {
  const problems = await store.readLines<Problem>(plan.prompts?.uri ?? artifactNames.rlPrompts(plan.key));
  if (problems === null) return null;
  const task = getTask(plan.task);
  return (async function* () {
    let index = 0;
    for await (const problem of problems) yield verlRow(promptRow(task, problem), task.name, index++);
  })();
}
