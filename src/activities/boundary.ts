import { Context } from '@temporalio/activity';
import { type Recorder, recorder } from '../core/metrics.ts';
import { addUsage, noUsage, type Usage } from '../core/usage.ts';
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
  /** Answered and not stored, for the metrics of the next attempt; `counted`: this one did it itself. */
  unsaved?: Usage & { counted?: true };
}

/** Metrics of an activity: what it is about is added by `src/observe/activity-identity.ts`. */
export type ActivityRecorder = Recorder<'run' | 'stage' | 'arm'>;

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
  call<T extends { usage: Usage }>(callId: string, load: () => Load | null, make: () => Promise<T>): Promise<T>;
  /** All that was answered so far is stored: `credited` in the metrics. A body that returns has stored the rest. */
  stored(): void;
  record: ActivityRecorder;
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
  let unsaved: Usage & { counted?: true } = noUsage;
  const record: ActivityRecorder = recorder(context.metricMeter);
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
      ...(unsaved.calls > 0 && { unsaved }),
    };
  }

  const before = context.info.heartbeatDetails as HeartbeatDetails | undefined;
  // With 0 as well, here and below: what a series begins with is no increase to Prometheus, and the first event would be lost.
  record.add('astroflow_lost_attempts', context.info.attempt > 1 ? 1 : 0, {});
  // It died without a word: nobody else can count what it had been answered.
  if (before?.unsaved && !before.unsaved.counted) countSettled(record, before.unsaved, 'wasted');

  function stored(): void {
    if (unsaved.calls === 0) return;
    countSettled(record, unsaved, 'credited');
    unsaved = noUsage;
  }

  try {
    const result = await body({
      number: context.info.attempt,
      activity: `${context.info.workflowExecution?.runId ?? ''}/${context.info.activityId}`,
      signal: context.cancellationSignal,
      lost: before?.unsettled ?? null,
      unsettled(answers) {
        unsettled = answers && { attempt: context.info.attempt, ...answers };
        beat();
      },
      report(next) {
        phase = next;
        beat();
      },
      async call(callId, load, make) {
        for (const result of ['credited', 'wasted'] as const)
          if (tokens === null) countSettled(record, noUsage, result);
        const call = { callId, load };
        inFlight.push(call);
        try {
          const answer = await make();
          tokens = (tokens ?? 0) + answer.usage.completionTokens;
          unsaved = addUsage(unsaved, answer.usage);
          return answer;
        } finally {
          inFlight.splice(inFlight.indexOf(call), 1);
        }
      },
      stored,
      record,
      onCancel: (stop) => void stops.push(stop),
    });
    stored();
    return result;
  } catch (error) {
    if (unsaved.calls > 0) {
      countSettled(record, unsaved, 'wasted');
      unsaved = { ...unsaved, counted: true };
      // Sent with the failure.
      beat();
    }
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

function countSettled(record: ActivityRecorder, usage: Usage, result: 'credited' | 'wasted'): void {
  record.add('astroflow_settled_calls', usage.calls, { result });
  record.add('astroflow_settled_tokens', usage.promptTokens, { kind: 'prompt', result });
  record.add('astroflow_settled_tokens', usage.completionTokens, { kind: 'completion', result });
}
