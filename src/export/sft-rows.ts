import { artifactNames, type LinearizePlan } from '../config/plan.ts';
import type { Arm } from '../config/schema.ts';
import { conversation, promptRow } from '../core/chat-rows.ts';
import type { Problem } from '../core/problem.ts';
import type { SftRow } from '../core/records.ts';
import { getTask } from '../core/tasks/index.ts';
import { type ArtifactStore, CorruptArtifact } from '../services/store/store.ts';
import type { RowOf } from './columns.ts';
import { messages } from './messages.ts';

/** Training texts as conversations, beside the very tokens that were trained on. */
export const sftColumns = {
  messages,
  problem_id: 'string',
  family: 'string',
  arm: 'string',
  backtracks: 'int32',
  planned_backtracks: 'int32',
  tree: 'string',
  policy: 'string',
  narrator: 'string',
  judge: 'string',
  prompt_ids: { list: 'int32' },
  completion_ids: { list: 'int32' },
} as const;

/** An arm's training rows; null where the run has none yet. */
export async function sftRows(
  store: ArtifactStore,
  plan: LinearizePlan,
  arm: Arm,
): Promise<AsyncIterable<RowOf<typeof sftColumns>> | null> {
  const rows = await store.readLines<SftRow>(artifactNames.rows(plan.key, arm));
  if (rows === null) return null;
  const task = getTask(plan.task);
  return (async function* () {
    for await (const { row, problem } of withProblems(rows, () => problemsOf(store, plan))) {
      yield {
        messages: conversation({ prompt: promptRow(task, problem).prompt, completion: row.text }),
        problem_id: row.problemId,
        family: row.family,
        arm: row.arm,
        backtracks: row.backtracks,
        planned_backtracks: row.plannedBacktracks,
        tree: row.tree,
        policy: row.roles.policy,
        narrator: row.roles.narrator,
        judge: row.roles.judge,
        prompt_ids: row.promptTokens,
        completion_ids: row.completionTokens,
      };
    }
  })();
}

async function problemsOf(store: ArtifactStore, { search: { problems } }: LinearizePlan) {
  const rows = await store.readLines<Problem>(problems.uri);
  if (rows === null) throw new CorruptArtifact(`artifact ${problems.uri} is missing; restore it from a copy`);
  return rows;
}

/**
 * Each row with its problem, whose set may be larger than memory: both are read side by side. Rows follow the order of
 * their problems, first those of the search arm, then the direct ones, so the set is read about twice.
 */
async function* withProblems(
  rows: AsyncIterable<SftRow>,
  open: () => Promise<AsyncIterable<Problem>>,
): AsyncGenerator<{ row: SftRow; problem: Problem }> {
  let problems = (await open())[Symbol.asyncIterator]();
  let problem: Problem | undefined;
  for await (const row of rows) {
    for (let begun = 0; problem?.id !== row.problemId; ) {
      const next = await problems.next();
      if (!next.done) problem = next.value;
      else if (begun++ === 1) throw new CorruptArtifact(`a training row is of an unknown problem ${row.problemId}`);
      else problems = (await open())[Symbol.asyncIterator]();
    }
    yield { row, problem };
  }
  await problems.return?.();
}
