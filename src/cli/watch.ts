import { setTimeout as sleep } from 'node:timers/promises';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { findPlan, runNameOf } from '../runs/plans.ts';
import { type BooksStatus, isFinished, type RunStatus } from '../runs/status.ts';
import { openStore } from '../services/store/open.ts';
import { booksLine, createBooksReader } from './books-reader.ts';
import { temporalTarget, withClientIfThere } from './connection.ts';
import { createDisplay } from './display.ts';
import { describeFailure } from './failure.ts';
import { follow } from './follow.ts';
import type { Home } from './home.ts';
import { onInterrupt } from './interrupt.ts';
import { lookAtRun, unknownRun } from './look.ts';
import { renderResult } from './result.ts';
import { statusLines } from './status.ts';

interface Surroundings {
  home: Home;
  env: NodeJS.ProcessEnv;
}

/** `astroflow watch RUN`: until it ends. */
export async function watchCommand(
  home: Home,
  env: NodeJS.ProcessEnv,
  run: string,
  options: { json?: boolean } = {},
): Promise<number> {
  const target = temporalTarget(env, home);
  if (options.json) return withClientIfThere(target, (client) => watchAsLines(client, { home, env }, run));
  return withClientIfThere(target, async (client) => {
    const store = await openStore(home.artifacts);
    const look = await lookAtRun(client, store, run, { asksClosed: false });
    if (look === null) throw await unknownRun(store, run, `no server at ${target.address} knows it`);
    if (client !== null && look.status.status !== null)
      return followToEnd(client, client.workflow.getHandle(look.status.workflowId), { home, env });
    for (const line of statusLines(look, process.stdout)) console.log(line);
    console.log(`No server at ${target.address} knows it, so nothing of this changes.`);
    return isFinished(look.status) ? 0 : 1;
  });
}

/** Shows progress and its cost, then the result or why there is none. Ctrl-C stops looking, not the run. */
export async function followToEnd(
  client: Client,
  handle: WorkflowHandle,
  { home, env }: Surroundings,
): Promise<number> {
  const store = await openStore(home.artifacts);
  const display = createDisplay(process.stdout);
  const interrupt = onInterrupt(() => display.print('The run goes on without us.'));
  const run = runNameOf(handle.workflowId);
  const planOf = async () => (run === null ? null : findPlan(store, run));
  const books = createBooksReader(planOf, store, { home, env }, (read) => display.foot([booksLine(read)]));
  try {
    const show: typeof display.update = (progress) => {
      display.update(progress);
      books.look();
    };
    const end = await follow(client, handle, show, interrupt.signal);
    if (end !== undefined) await books.last();
    display.finish();
    if (end !== undefined) display.print(await renderResult(end.result, home, process.stdout));
    return 0;
  } catch (error) {
    await books.last();
    display.finish();
    console.error(`\n${handle.workflowId} failed.\n${describeFailure(error)}`);
    return 1;
  } finally {
    interrupt.dispose();
  }
}

const pollMs = 1000;
/** Without a change, a line all the same: who reads knows that it is still watched. */
const quietMs = 15_000;

/** A line of JSON (`RunStatus`) at every change; the last one says how the run ended. 0 when it completed. */
async function watchAsLines(client: Client | null, { home, env }: Surroundings, run: string): Promise<number> {
  const store = await openStore(home.artifacts);
  const interrupt = onInterrupt(() => {});
  let told = '';
  let toldAtMs = 0;
  let cost: BooksStatus | undefined;
  let hasRun = false;
  const name = runNameOf(run);
  const planOf = async () => (name === null ? null : findPlan(store, name));
  const books = createBooksReader(planOf, store, { home, env }, (read) => {
    cost = read;
  });
  try {
    for (;;) {
      const look = await lookAtRun(client, store, run);
      if (look === null)
        throw await unknownRun(store, run, `no server at ${temporalTarget(env, home).address} knows it`);
      const isRunning = look.status.status === 'running';
      // A server that is away for a while says nothing about a run that it knew.
      const isOver = !isRunning && !(hasRun && look.status.status === null);
      hasRun ||= isRunning;
      if (isOver) await books.last();
      else books.look();
      const status: RunStatus = { ...look.status, ...(cost !== undefined && { books: cost }) };
      const news = whatChanges(status);
      if (news !== told || isOver || Date.now() - toldAtMs >= quietMs) {
        console.log(JSON.stringify(status));
        told = news;
        toldAtMs = Date.now();
      }
      if (isOver) return status.status === 'completed' || (status.status === null && isFinished(status)) ? 0 : 1;
      if (interrupt.signal.aborted) return 0;
      await sleep(pollMs, undefined, { signal: interrupt.signal }).catch(() => {});
    }
  } finally {
    interrupt.dispose();
  }
}

/** Without what time alone changes. */
function whatChanges({ at: _at, stages, ...status }: RunStatus): string {
  const counted = stages.map(({ name, arm, state, done, tokens, note }) => [name, arm, state, done, tokens, note]);
  return JSON.stringify([status, counted]);
}
