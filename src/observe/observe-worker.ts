import { Client } from '@temporalio/client';
import type { DataConverter } from '@temporalio/common';
import { type NativeConnection, Runtime } from '@temporalio/worker';
import type { PolicyConfig } from '../config/schema.ts';
import { openServices, type Services } from '../services/index.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import { watchOpenRuns } from './open-runs.ts';
import { serviceWatch } from './service-watch.ts';
import { observeServices } from './services.ts';
import { observeStore } from './store.ts';
import { noTracing, openTracing, type WorkerTracing } from './tracing.ts';

export interface ObservedWorker {
  store: ArtifactStore;
  services(policy: PolicyConfig): Services;
  tracing: WorkerTracing | undefined;
  /** After the workers have ended. */
  close(): Promise<void>;
}

/** Store and services of a worker process, with metrics and traces around them as its environment says. */
export async function observeWorker(options: {
  store: ArtifactStore;
  connection: NativeConnection;
  namespace: string;
  dataConverter: DataConverter;
  env: NodeJS.ProcessEnv;
}): Promise<ObservedWorker> {
  const { store, env } = options;
  const { metricMeter, logger } = Runtime.instance();
  // Where the SDK logs: not across a terminal that shows progress.
  const warn = (message: string) => logger.warn(message);
  const tracing = await openTracing(env);
  const isMeasured = Boolean(env.ASTROFLOW_METRICS_ADDRESS);
  const services = openServices(env, warn, isMeasured ? serviceWatch(metricMeter) : undefined);
  const runs = isMeasured ? watchOpenRuns(new Client(options), metricMeter, warn) : null;
  return {
    store: observeStore(store, metricMeter, tracing ?? noTracing),
    services: observeServices(services, tracing ?? noTracing),
    tracing: tracing?.worker,
    async close() {
      await runs?.stop();
      await tracing?.close();
    },
  };
}
