/**
 * What went wrong, by what the caller should do:
 *
 * - `pending`: accepted and not done in the time allowed; `requestId` can be asked for again
 * - `retryable`: nothing was executed; try again, after `retryAfterMs` where it is given
 * - `ambiguous`: sent, but unknown whether it was executed; restore from a checkpoint unless the server deduplicates
 * - `lost`: the server no longer has the model, session, checkpoint or promise
 * - `paused`: the server asks to wait (billing, capacity)
 * - `fatal`: the request itself is wrong; sending it again cannot help
 */
export type TinkerErrorKind = 'pending' | 'retryable' | 'ambiguous' | 'lost' | 'paused' | 'fatal';

export interface TinkerErrorDetails {
  /** Names the service in messages. */
  service: string;
  /** Below `/api/v1`. */
  path?: string;
  status?: number;
  /** Of the promise, where one was given. */
  requestId?: string;
  retryAfterMs?: number;
  /** There was no answer in the time allowed. */
  timedOut?: boolean;
  /** Whose fault a failed request was, as the server says. */
  category?: 'user' | 'server' | 'unknown';
  cause?: unknown;
}

export class TinkerError extends Error {
  override name = 'TinkerError';
  readonly kind: TinkerErrorKind;
  readonly service: string;
  readonly path: string | undefined;
  readonly status: number | undefined;
  readonly requestId: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly timedOut: boolean;
  readonly category: 'user' | 'server' | 'unknown' | undefined;

  constructor(kind: TinkerErrorKind, message: string, details: TinkerErrorDetails) {
    super(message, { cause: details.cause });
    this.kind = kind;
    this.service = details.service;
    this.path = details.path;
    this.status = details.status;
    this.requestId = details.requestId;
    this.retryAfterMs = details.retryAfterMs;
    this.timedOut = details.timedOut ?? false;
    this.category = details.category;
  }
}
