import { Context } from '@temporalio/activity';
import type { Usage } from '../core/usage.ts';
import type { Load } from '../services/gate.ts';
import { toFailure } from './failures.ts';

/** How often a waiting activity tells the server that it is alive; well below every heartbeat timeout we set. */
const heartbeatEveryMs = 4_000;

/** What an activity is about. */
export interface Phase {
  phase: string;
  done?: number;
  total?: number;
}

/** Details of a heartbeat, for people who look at a pending activity, and for the next attempt's accounts. */
export interface HeartbeatDetails extends Phase {
  /** The call in flight, the newest where there are several. */
  callId?: string;
  /** Sampled by this attempt so far. */
  tokens?: number;
  /** How this worker uses the service of that call: how many requests at once, and how many wait. */
  service?: Load;
  unsettled?: Unsettled;
}

/** What an attempt was answered and had not stored. */
export interface Unsettled {
  attempt: number;
  /** Name of the object that would have held it. */
  result: string;
  usage: Usage;
}

/** What an activity sees of the attempt it runs in. */
export interface Attempt {
  /** From 1. */
  number: number;
  /** `<workflow run>/<activity>`: attempt numbers begin anew in each activity, and an operator may start another. */
  activity: string;
  signal: AbortSignal;
  /** Of an attempt before this one, by the last heartbeat that reached the server: it died with that attempt. */
  lost: Unsettled | null;
  /** What this attempt was answered and has not stored yet: told with the heartbeats, for the next one's `lost`. */
  unsettled(answers: Omit<Unsettled, 'attempt'> | null): void;
  /** Sends a heartbeat at once; later ones repeat it. */
  report(phase: Phase): void;
  /** Makes a call to a service, which heartbeats name as long as it is in flight. */
  call<T extends { tokens: number }>(callId: string, load: () => Load | null, make: () => Promise<T>): Promise<T>;
  /**
   * What to stop elsewhere when an operator cancels. It is left alone when this worker shuts down, or when the attempt
   * was given up for another reason: somebody else goes on.
   */
  onCancel(stop: () => Promise<void>): void;
}

/**
 * Runs an activity's body with heartbeats while it waits and with errors translated at its boundary. Heartbeat details
 * are for people and for the accounts: what a retry continues from is in the store.
 */
export async function attempt<T>(body: (attempt: Attempt) => Promise<T>): Promise<T> {
  const context = Context.current();
  let phase: Phase = { phase: 'starting' };
  let tokens: number | null = null;
  let unsettled: Unsettled | null = null;
  const inFlight: { callId: string; load: () => Load | null }[] = [];
  const stops: (() => Promise<void>)[] = [];
  const beat = () => context.heartbeat(details());
  const timer = setInterval(beat, heartbeatEveryMs);

  function details(): HeartbeatDetails {
    const newest = inFlight.at(-1);
    const service = newest?.load() ?? null;
    return {
      ...phase,
      ...(newest !== undefined && { callId: newest.callId }),
      ...(tokens !== null && { tokens }),
      ...(service !== null && { service }),
      ...(unsettled !== null && { unsettled }),
    };
  }

  try {
    return await body({
      number: context.info.attempt,
      activity: `${context.info.workflowExecution?.runId ?? ''}/${context.info.activityId}`,
      signal: context.cancellationSignal,
      lost: (context.info.heartbeatDetails as HeartbeatDetails | undefined)?.unsettled ?? null,
      unsettled(answers) {
        unsettled = answers && { attempt: context.info.attempt, ...answers };
        beat();
      },
      report(next) {
        phase = next;
        beat();
      },
      async call(callId, load, make) {
        const call = { callId, load };
        inFlight.push(call);
        try {
          const answer = await make();
          tokens = (tokens ?? 0) + answer.tokens;
          return answer;
        } finally {
          inFlight.splice(inFlight.indexOf(call), 1);
        }
      },
      onCancel: (stop) => void stops.push(stop),
    });
  } catch (error) {
    if (context.cancellationSignal.aborted) {
      if (context.cancellationDetails?.cancelRequested) await Promise.allSettled(stops.map((stop) => stop()));
      // A call aborted by cancellation surfaces as whatever the HTTP client throws; Temporal needs its own failure.
      await context.cancelled;
    }
    throw toFailure(error);
  } finally {
    clearInterval(timer);
  }
}
