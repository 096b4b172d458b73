import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { type FailureType, failureTypes } from '../core/failures.ts';
import { ServiceError, type ServiceErrorKind } from '../services/errors.ts';
import { CorruptArtifact, NewerArtifact } from '../services/store/store.ts';

const typeOfKind: Record<ServiceErrorKind, FailureType> = {
  retryable: 'ServiceUnavailable',
  ambiguous: 'ServiceUnavailable',
  paused: 'ServiceUnavailable',
  lost: 'ServiceLostState',
  expired: 'CheckpointLost',
  fatal: 'ServiceRefused',
};

/** A service may ask for any wait; one that meant hours is asked again by then, and an attempt is not much. */
const longestWaitMs = 10 * 60_000;

export function failure(type: FailureType, message: string, ...details: unknown[]): ApplicationFailure {
  return ApplicationFailure.create({ type, message, nonRetryable: !failureTypes[type].retry, details });
}

/** Any error as the failure that Temporal should see; unknown ones stay what they are and are retried. */
export function toFailure(error: unknown): unknown {
  if (error instanceof ApplicationFailure || error instanceof CancelledFailure) return error;
  if (error instanceof CorruptArtifact) return failure('CorruptArtifact', error.message);
  if (error instanceof NewerArtifact) return failure('NewerArtifact', error.message);
  if (!(error instanceof ServiceError)) return error;
  const type = typeOfKind[error.kind];
  return ApplicationFailure.create({
    type,
    message: error.message,
    nonRetryable: !failureTypes[type].retry,
    details: [{ service: error.service, status: error.status ?? null }],
    // A server takes a delay of nothing for "do not retry".
    ...(error.retryAfterMs ? { nextRetryDelay: Math.min(error.retryAfterMs, longestWaitMs) } : {}),
  });
}
