import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { printable } from '../core/foreign-text.ts';
import { type ListedRun, listed } from '../runs/listed-run.ts';
import { storedRuns } from '../runs/plans.ts';
import { openStore } from '../services/store/open.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import { columnsOf } from './columns.ts';
import { temporalTarget, withClientIfThere } from './connection.ts';
import type { Home } from './home.ts';
import { lookAtRun } from './look.ts';
import { shorten } from './progress.ts';

/** Types that people start by hand; the searches of single problems are too many to list. */
const rootTypes = ['astroPipeline', 'searchCorpus', 'linearizeCorpus', 'fineTune', 'reinforce', 'evaluate'];

/** A list is read page by page, and all of it is wanted. */
const listMs = 15_000;

/** Executions that are read of a server; a server with more has a UI to search in. */
const mostExecutions = 1000;

/** `astroflow list`: newest first, then what is only stored. */
export async function listCommand(home: Home, env: NodeJS.ProcessEnv, options: { json?: boolean }): Promise<number> {
  const store = await openStore(home.artifacts);
  const target = temporalTarget(env, home);
  return withClientIfThere(target, async (client) => {
    const runs = await listRuns(client, store);
    if (options.json) {
      console.log(JSON.stringify({ schema: 'astroflow.list/1', server: client && target.address, runs }, null, 2));
      return 0;
    }
    if (client === null) console.log(`No Temporal server answers at ${target.address}: this is what is stored.`);
    for (const line of listLines(runs, columnsOf(process.stdout))) console.log(line);
    return 0;
  });
}

export async function listRuns(client: Client | null, store: ArtifactStore): Promise<ListedRun[]> {
  const executions =
    client === null ? [] : await client.withDeadline(Date.now() + listMs, () => newestExecutions(client));
  const ids = executions.map(({ workflowId }) => workflowId);
  const onlyStored = (await storedRuns(store)).filter((run) => !ids.includes(`astro/${run}`));
  const looks = await Promise.all(
    [...ids, ...onlyStored].map((id) =>
      lookAtRun(client, store, id.replace(/^astro\/([^/]+)$/, '$1'), { asksClosed: false }),
    ),
  );
  return looks.flatMap((look) => (look === null ? [] : [listed(look.status)]));
}

/** The last execution of each workflow id that was started by itself. */
async function newestExecutions(client: Client): Promise<WorkflowExecutionInfo[]> {
  const found = new Map<string, WorkflowExecutionInfo>();
  const query = `WorkflowType IN (${rootTypes.map((type) => `'${type}'`).join(', ')})`;
  let seen = 0;
  for await (const execution of client.workflow.list({ query })) {
    seen += 1;
    if (seen > mostExecutions) break;
    if (execution.parentExecution) continue;
    const before = found.get(execution.workflowId);
    if (before === undefined || before.startTime < execution.startTime) found.set(execution.workflowId, execution);
  }
  return [...found.values()].sort((a, b) => b.startTime.getTime() - a.startTime.getTime());
}

const header = ['run', 'state', 'stage', 'started', 'attention'];

export function listLines(runs: readonly ListedRun[], width: number): string[] {
  if (runs.length === 0)
    return ['There are no runs yet. `npm run demo` makes one; `npx astroflow start CONFIG` another.'];
  const rows = [
    header,
    ...runs.map(({ run, workflowId, state, stage, startedAt, attention }) => [
      workflowId === `astro/${run}` ? run : workflowId,
      state,
      stage,
      startedAt?.replace('T', ' ').replace(/\.\d+Z$/, '') ?? '',
      attention.length === 0 ? '' : `! ${printable(attention.join('; '))}`,
    ]),
  ];
  const widths = header.map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  return rows.map((cells) =>
    shorten(
      cells
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
      width,
    ),
  );
}
