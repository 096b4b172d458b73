/**
 * What went wrong with a service, by what the caller should do. Activities turn these into Temporal failures with the
 * same names; the table of which are retried is in `src/core/failures.ts`.
 *
 * - `retryable`: try again after a pause (5xx, 429, connection lost)
 * - `lost`: a model, checkpoint or promise the service no longer has: restore from the last checkpoint
 * - `expired`: a checkpoint the service no longer has: nothing brings it back
 * - `ambiguous`: sent, but unknown whether it was executed
 * - `paused`: the service asks to wait (billing, capacity)
 * - `fatal`: the request itself is wrong; retrying cannot help
 */
export type ServiceErrorKind = 'retryable' | 'lost' | 'expired' | 'ambiguous' | 'paused' | 'fatal';

export class ServiceError extends Error {
  override name = 'ServiceError';
  readonly kind: ServiceErrorKind;
  readonly service: string;
  readonly status: number | undefined;
  readonly retryAfterMs: number | undefined;
  /** There was no answer in the time allowed. */
  readonly timedOut: boolean;

  constructor(
    kind: ServiceErrorKind,
    message: string,
    details: { service: string; status?: number; retryAfterMs?: number; timedOut?: boolean; cause?: unknown },
  ) {
    super(message, { cause: details.cause });
    this.kind = kind;
    this.service = details.service;
    this.status = details.status;
    this.retryAfterMs = details.retryAfterMs;
    this.timedOut = details.timedOut ?? false;
  }
}
