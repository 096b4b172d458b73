import { ActivityCancellationType, proxyActivities, workflowInfo } from '@temporalio/workflow';
import type { Activities } from '../activities/index.ts';
import { nonRetryableFailureTypes } from '../core/failures.ts';
import { ownShare } from './fair-share.ts';

/**
 * The same activities under five settings, one per task queue. Queues carry the workflow's own queue as prefix, so a
 * pipeline started on another queue stays on that queue's workers.
 */

const retry = {
  initialInterval: '1 second',
  maximumInterval: '30 seconds',
  nonRetryableErrorTypes: nonRetryableFailureTypes as string[],
} as const;

/** Not the SDK's default, whatever its documentation says: a cancelled run has ended when its last call has. */
const cancellationType = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED;

/**
 * How long a killed worker's activities stay unnoticed. A living one reports every four to eight seconds, whatever it
 * waits for; one that is wrongly given up costs its model calls and nothing else.
 */
const heartbeatTimeout = '15 seconds';

/** Look-ups and small writes: milliseconds. Two minutes cover a store that hangs; ten attempts a restart of it. */
export function shortActivities() {
  return proxyActivities<Activities>({
    ...ownShare(),
    cancellationType,
    startToCloseTimeout: '2 minutes',
    heartbeatTimeout,
    retry: { ...retry, maximumAttempts: 10 },
  });
}

/**
 * The same for what goes through a whole problem set or its index: a million problems take minutes, and generating them
 * keeps the process busy for half a minute at a time.
 */
export function wholeSetActivities() {
  return proxyActivities<Activities>({
    ...ownShare(),
    cancellationType,
    startToCloseTimeout: '30 minutes',
    heartbeatTimeout: '60 seconds',
    retry: { ...retry, maximumAttempts: 10 },
  });
}

/** Waits on the sampler. Slots of this queue are the service's concurrency; 20 attempts ride out a long outage. */
export function sampleActivities() {
  return proxyActivities<Activities>({
    ...ownShare(),
    cancellationType,
    taskQueue: `${workflowInfo().taskQueue}-sample`,
    startToCloseTimeout: '30 minutes',
    heartbeatTimeout,
    retry: { ...retry, maximumAttempts: 20 },
  });
}

/** Few and long; a retry restores the last checkpoint, so each attempt is allowed an hour. */
export function trainActivities() {
  return proxyActivities<Activities>({
    ...ownShare(),
    cancellationType,
    taskQueue: `${workflowInfo().taskQueue}-train`,
    startToCloseTimeout: '1 hour',
    heartbeatTimeout,
    retry: { ...retry, maximumAttempts: 20 },
  });
}

/** Busy loops (linearise, statistics) away from the queue whose heartbeats must not starve; theirs may, for a while. */
export function cpuActivities() {
  return proxyActivities<Activities>({
    ...ownShare(),
    cancellationType,
    taskQueue: `${workflowInfo().taskQueue}-cpu`,
    startToCloseTimeout: '30 minutes',
    heartbeatTimeout: '60 seconds',
    retry: { ...retry, maximumAttempts: 5 },
  });
}

/**
 * Waits for a training job, which goes on whatever happens to the worker: how long is the job's own matter
 * (`policy.trainer.maxHours`), and a dead worker is noticed by its heartbeats. The attempts are for machines that are
 * taken away from jobs, and for deployments meanwhile. A queue of its own: two jobs that wait for days would hold all
 * slots for training.
 */
export function jobActivities() {
  return proxyActivities<Activities>({
    ...ownShare(),
    cancellationType,
    taskQueue: `${workflowInfo().taskQueue}-job`,
    startToCloseTimeout: '30 days',
    heartbeatTimeout,
    retry: { ...retry, maximumAttempts: 100 },
  });
}
