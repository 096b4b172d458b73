import { join, relative } from 'node:path';
import { type Client, WorkflowFailedError, type WorkflowHandle, WorkflowNotFoundError } from '@temporalio/client';
import type { PageServer } from '../page/server.ts';
import { type ConfigDocument, readConfigFile, runNameFor } from './config-file.ts';
import { withClient } from './connection.ts';
import { chooseRun, readDemoRuns, writeDemoRuns } from './demo-run.ts';
import { createDisplay, type Display } from './display.ts';
import { describeFailure } from './failure.ts';
import { follow } from './follow.ts';
import { createHome, type Home } from './home.ts';
import { aborted, onInterrupt } from './interrupt.ts';
import { takeLock } from './lock.ts';
import { openPage } from './page.ts';
import { packageRoot } from './paths.ts';
import { readSummary, renderResult } from './result.ts';
import { type Stack, startStack } from './stack.ts';
import { rootWorkflow, startRun, workflowIdFor } from './start.ts';

export interface DemoOptions {
  config?: string;
  fresh?: boolean;
}

/** `astroflow demo`: everything in one terminal, from nothing to the score table; again, from where it stopped. */
export async function demoCommand(home: Home, env: NodeJS.ProcessEnv, options: DemoOptions): Promise<number> {
  const path = options.config ?? join(packageRoot, 'configs', 'demo.json');
  const document = readConfigFile(path);
  createHome(home);
  const unlock = takeLock(home.lock, 'demo');
  const display = createDisplay(process.stdout);
  const interrupt = onInterrupt(() => display.print('Stopping (Ctrl-C again: at once) …'));
  let stack: Stack | null = null;
  let page: PageServer | null = null;
  try {
    const runs = readDemoRuns(home.demo);
    const name = runNameFor(document, path, undefined);
    const { chosen, changed } = chooseRun(runs[name], {
      document,
      path,
      fresh: options.fresh ?? false,
      nowMs: Date.now(),
    });
    const starting = startStack({ home, env, print: display.print });
    stack = await starting;
    const { target, uiUrl } = stack;
    const id = workflowIdFor(chosen.run, rootWorkflow);
    display.print(`Temporal UI  ${uiUrl}/namespaces/default/workflows/${encodeURIComponent(id)}`);
    page = await openPage({ home, env, target });
    display.print(`Live page    ${page.url}/runs/${chosen.run}/`);
    const broken = new AbortController();
    stack.broken.catch((error) => broken.abort(error));
    const code = await withClient(target, (client) =>
      work(client, stack as Stack, {
        home,
        display,
        run: chosen.run,
        document: { ...document, salt: chosen.salt },
        changed,
        started: () => writeDemoRuns(home.demo, { ...runs, [name]: chosen }),
        signal: AbortSignal.any([interrupt.signal, broken.signal]),
      }),
    );
    broken.signal.throwIfAborted();
    return code;
  } finally {
    await page?.close();
    await stack?.stop();
    interrupt.dispose();
    unlock();
  }
}

interface Work {
  home: Home;
  display: Display;
  run: string;
  document: ConfigDocument;
  /** The configuration is not the one that the run was started with. */
  changed: boolean;
  started: () => void;
  signal: AbortSignal;
}

async function work(client: Client, stack: Stack, options: Work): Promise<number> {
  const { home, display, run, document, changed, started, signal } = options;
  const earlier = client.workflow.getHandle(workflowIdFor(run, rootWorkflow));
  const status = await statusOf(earlier);
  if (status === 'COMPLETED' && !changed) {
    const result = await earlier.result();
    if ((await readSummary(result, home)) !== null) {
      display.print(`The run ${run} had finished; \`npm run demo -- --fresh\` starts over.`);
      display.print(await renderResult(result, home, process.stdout));
      return 0;
    }
  }
  if (status === 'RUNNING') {
    display.print(`Continuing the run ${run} where it stopped`);
    if (changed) display.print('The configuration has changed since; that takes effect with --fresh.');
  }
  const working = stack.startWork().then(({ engineUrl }) => display.print(`Engine       ${engineUrl}`));
  await Promise.race([working, aborted(signal)]);
  if (signal.aborted) return stopped(display);
  const handle = await startRun(client, { workflow: rootWorkflow, run, document });
  started();
  try {
    const end = await follow(client, handle, display.update, signal);
    display.finish();
    if (end === undefined) return stopped(display);
    display.print(await renderResult(end.result, home, process.stdout));
    return 0;
  } catch (error) {
    if (signal.aborted) return stopped(display);
    if (!(error instanceof WorkflowFailedError)) throw error;
    display.finish();
    display.print(`\nThe run ${run} failed.\n${describeFailure(error)}`);
    display.print(`Logs are in ${relative(process.cwd(), home.logs) || '.'}`);
    return 1;
  }
}

function stopped(display: Display): number {
  display.print('Stopped. Run `npm run demo` again to continue.');
  return 130;
}

async function statusOf(handle: WorkflowHandle): Promise<string | null> {
  try {
    return (await handle.describe()).status.name;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null;
    throw error;
  }
}
