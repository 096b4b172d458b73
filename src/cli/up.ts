import type { PageServer } from '../page/server.ts';
import { defaultTaskQueue } from '../workers/worker.ts';
import { createHome, type Home } from './home.ts';
import { aborted, onInterrupt } from './interrupt.ts';
import { takeLock } from './lock.ts';
import { openPage } from './page.ts';
import { temporalBinary } from './paths.ts';
import { type Stack, startStack } from './stack.ts';

/** The `temporal` CLI's defaults, so that its commands find the server without an address. */
const usualPorts = { port: 7233, uiPort: 8233 };

export interface UpOptions {
  port?: number;
  uiPort?: number;
  pagePort?: number;
}

/** `astroflow up`: dev server, engine and workers in one terminal until Ctrl-C. */
export async function upCommand(home: Home, env: NodeJS.ProcessEnv, options: UpOptions): Promise<number> {
  createHome(home);
  const unlock = takeLock(home.lock, 'up');
  const interrupt = onInterrupt(() => console.log('Stopping (Ctrl-C again: at once) …'));
  let stack: Stack | null = null;
  let page: PageServer | null = null;
  try {
    stack = await startStack({ home, env, ...usualPorts, ...options, print: console.log });
    console.log(`Temporal UI  ${stack.uiUrl}`);
    console.log(`Temporal     ${stack.target.address}`);
    const { pagePort } = options;
    page = await openPage({ home, env, target: stack.target, ...(pagePort !== undefined && { port: pagePort }) });
    console.log(`Live page    ${page.url}`);
    const stop = Promise.race([stack.broken, aborted(interrupt.signal)]);
    const working = await Promise.race([stack.startWork(), stop]);
    if (working === undefined) return 0;
    console.log(`Engine       ${working.engineUrl}`);
    console.log(`Logs         ${home.logs}`);
    console.log(examples(stack, options));
    await stop;
    return 0;
  } finally {
    await page?.close();
    await stack?.stop();
    interrupt.dispose();
    unlock();
  }
}

function examples({ target, uiUrl }: Stack, { port = usualPorts.port }: UpOptions): string {
  const address = target.address.endsWith(`:${usualPorts.port}`) ? '' : ` --address ${target.address}`;
  const moved = target.address.endsWith(`:${port}`) ? [] : [`Port ${port} was taken, so the server has another one.`];
  const form = `${uiUrl}/namespaces/default/workflows/start-workflow`;
  return [
    ...moved,
    '',
    'Start a run:',
    '  npx astroflow start configs/demo.json --wait',
    `  ${temporalBinary()} workflow start${address} --task-queue ${defaultTaskQueue} --type astroPipeline \\`,
    '    --workflow-id astro/demo --input-file configs/demo.json --id-conflict-policy UseExisting',
    `  ${form}?workflowType=astroPipeline&taskQueue=${defaultTaskQueue}&workflowId=astro%2Fdemo`,
    '',
    'Ctrl-C stops everything; nothing is lost.',
  ].join('\n');
}
