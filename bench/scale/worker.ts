import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { NativeConnection } from '@temporalio/worker';
import { installRuntime } from '../../src/cli/runtime.ts';
import { openServices } from '../../src/services/index.ts';
import type { Renderer } from '../../src/services/renderer/renderer.ts';
import type { Sampler } from '../../src/services/sampler/sampler.ts';
import { scriptedSampler } from '../../src/services/scripted/sampler.ts';
import { folderStore } from '../../src/services/store/folder.ts';
import { createWorkers } from '../../src/workers/worker.ts';
import { countedStore, noCounts, type StoreCounts } from './counted-store.ts';

/** What the process gets as its only argument, as JSON. */
export interface ScaleWorkerOptions {
  /** Of the Temporal server. */
  address: string;
  artifacts: string;
  /** File with the workflow bundle. */
  bundle: string;
  /** How long every call of the scripted sampler takes. */
  latencyMs: number;
  sampleEveryMs: number;
}

/** What it prints, one line of JSON each time: everything since its start. */
export interface WorkerSample {
  pid: number;
  rssBytes: number;
  heapBytes: number;
  cpuMs: number;
  store: StoreCounts;
  /** Calls of the sampler that were answered, by the content key of the search that made them. */
  calls: Record<string, number>;
}

/** A worker like that of `astroflow worker` with scripted services, which says what it uses until it is told to stop. */
const options = JSON.parse(process.argv[2] ?? '{}') as ScaleWorkerOptions;
installRuntime({});
const counts: StoreCounts = { ...noCounts };
const calls: Record<string, number> = {};
const samplerFor = forgetful();
const open = openServices({});
const connection = await NativeConnection.connect({ address: options.address });
const workers = await createWorkers({
  connection,
  namespace: 'default',
  deps: {
    store: countedStore(folderStore(options.artifacts), counts),
    services: (policy) => {
      const services = open(policy);
      const { sampler, renderer } = services;
      return {
        ...services,
        sampler: {
          ...sampler,
          async sample(request, signal) {
            if (options.latencyMs > 0) await sleep(options.latencyMs, undefined, { signal });
            const result = await samplerFor(renderer).sample(request, signal);
            const key = request.callId.split('/')[1] ?? '';
            calls[key] = (calls[key] ?? 0) + 1;
            return result;
          },
        },
      };
    },
  },
  workflowBundle: { code: readFileSync(options.bundle, 'utf8') },
});
/**
 * The scripted sampler remembers all that it served, for the ledger; a model's server does that elsewhere, and what is
 * measured here is the worker's memory. A new one answers the same.
 */
function forgetful(): (renderer: Renderer) => Sampler {
  let [served, current]: [number, Sampler | null] = [0, null];
  return (renderer) => {
    current = current === null || served++ % 1_000 === 0 ? scriptedSampler({ renderer }) : current;
    return current;
  };
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => workers.shutdown());

function say(): void {
  const { rss, heapUsed } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  const sample: WorkerSample = {
    pid: process.pid,
    rssBytes: rss,
    heapBytes: heapUsed,
    cpuMs: (user + system) / 1000,
    store: counts,
    calls,
  };
  console.log(JSON.stringify(sample));
}

const timer = setInterval(say, options.sampleEveryMs);
say();
await workers.run();
clearInterval(timer);
say();
await connection.close();
