import { readFileSync } from 'node:fs';
import { NativeConnection } from '@temporalio/worker';
import { homeFrom } from '../src/cli/home.ts';
import { installRuntime } from '../src/cli/runtime.ts';
import { openStore } from '../src/services/store/open.ts';
import { createWorkers } from '../src/workers/worker.ts';
import { slowServices } from './slow-services.ts';

/** What the process gets as its only argument, as JSON. */
export interface ScriptedWorkerOptions {
  /** Of the Temporal server. */
  address: string;
  /** Home folder of the run. */
  folder: string;
  /** Where its artifacts are. */
  artifacts: string;
  /** File with the workflow bundle: made once, since this process starts often. */
  bundle: string;
  latencyMs: number;
}

/** A worker like that of `astroflow worker`, with scripted services that take their time and keep a journal. */
const { address, folder, artifacts, bundle, latencyMs } = JSON.parse(process.argv[2] ?? '{}') as ScriptedWorkerOptions;
installRuntime({});
const home = homeFrom({ ASTROFLOW_HOME: folder, ASTROFLOW_ARTIFACTS: artifacts }, folder);
const connection = await NativeConnection.connect({ address });
const workers = await createWorkers({
  connection,
  namespace: 'default',
  deps: { store: await openStore(home.artifacts), services: slowServices({ folder: home.engine, latencyMs }) },
  workflowBundle: { code: readFileSync(bundle, 'utf8') },
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => workers.shutdown());
await workers.run();
await connection.close();
