import type { InjectedSinks, WorkerInterceptors } from '@temporalio/worker';

/** What makes a worker trace its workflows and activities. */
export interface WorkerTracing {
  activity: NonNullable<WorkerInterceptors['activity']>;
  /** Join the workflow bundle, which is larger by them. */
  workflowModules: string[];
  // biome-ignore lint/suspicious/noExplicitAny: sinks of any interface, as the SDK takes them
  sinks: InjectedSinks<any>;
}
