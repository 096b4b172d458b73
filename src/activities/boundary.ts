import { Context } from '@temporalio/activity';
import { toFailure } from './failures.ts';

/** How often a waiting activity tells the server that it is alive; well below every heartbeat timeout we set. */
const heartbeatEveryMs = 4_000;

/** What an activity sees of the attempt it runs in. */
export interface Attempt {
  /** From 1. */
  number: number;
  /** `<workflow run>/<activity>`: attempt numbers begin anew in each activity, and an operator may start another. */
  activity: string;
  signal: AbortSignal;
  /** Replaces the details of the next heartbeats: small, for people (`{ phase, done, total }`). */
  report(details: { phase: string; done?: number; total?: number }): void;
}

/**
 * Runs an activity's body with heartbeats while it waits and with errors translated at its boundary. Heartbeat details
 * are only for people: what a retry continues from is in the store.
 */
export async function attempt<T>(body: (attempt: Attempt) => Promise<T>): Promise<T> {
  const context = Context.current();
  let details: object = { phase: 'starting' };
  const timer = setInterval(() => context.heartbeat(details), heartbeatEveryMs);
  try {
    return await body({
      number: context.info.attempt,
      activity: `${context.info.workflowExecution?.runId ?? ''}/${context.info.activityId}`,
      signal: context.cancellationSignal,
      report(next) {
        details = next;
        context.heartbeat(details);
      },
    });
  } catch (error) {
    // A call aborted by cancellation surfaces as whatever the HTTP client throws; Temporal needs its own failure.
    if (context.cancellationSignal.aborted) await context.cancelled;
    throw toFailure(error);
  } finally {
    clearInterval(timer);
  }
}
