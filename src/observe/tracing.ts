import type { ClientInterceptors } from '@temporalio/client';
import type { InjectedSinks, WorkerInterceptors } from '@temporalio/worker';

export type Attributes = Record<string, string | number | boolean>;

export interface Span {
  set(attributes: Attributes): void;
  /** By which a service's own spans join this one: W3C's `traceparent`. Empty where nothing is traced. */
  headers(): Record<string, string>;
}

/** Spans of what a worker does, children of the activity that does it. */
export interface Tracing {
  span<T>(name: string, attributes: Attributes, run: (span: Span) => Promise<T>): Promise<T>;
}

/** Traces are off: nothing is made, nothing is loaded. */
export const noTracing: Tracing = { span: (_name, _attributes, run) => run({ set: () => {}, headers: () => ({}) }) };

/** What makes a worker trace its workflows and activities. */
export interface WorkerTracing {
  activity: NonNullable<WorkerInterceptors['activity']>;
  /** Join the workflow bundle, which is larger by them. */
  workflowModules: string[];
  // biome-ignore lint/suspicious/noExplicitAny: sinks of any interface, as the SDK takes them
  sinks: InjectedSinks<any>;
}

export interface OpenTracing extends Tracing {
  worker: WorkerTracing;
  client: ClientInterceptors;
  /** Sends what has not been sent yet; never fails, and gives up after a few seconds. */
  close(): Promise<void>;
}

/**
 * Traces of this process, sent by OTLP over HTTP to `OTEL_EXPORTER_OTLP_ENDPOINT`; null where that is not set. Loads
 * OpenTelemetry only then.
 */
export async function openTracing(env: NodeJS.ProcessEnv): Promise<OpenTracing | null> {
  return env.OTEL_EXPORTER_OTLP_ENDPOINT ? (await import('./open-telemetry.ts')).openTelemetry() : null;
}
