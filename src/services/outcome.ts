import { ServiceError } from './errors.ts';

/** How a call or request to a service can end, for metrics. */
export const outcomes = [
  'answered',
  '429',
  '503',
  'timeout',
  'unavailable',
  'lost',
  'refused',
  'cancelled',
  'fault',
] as const;
export type Outcome = (typeof outcomes)[number];

/** Of one that was not answered. */
export function outcomeOf(error: unknown, signal: AbortSignal): Outcome {
  if (signal.aborted) return 'cancelled';
  if (!(error instanceof ServiceError)) return 'fault';
  if (error.status === 429 || error.status === 503) return `${error.status}`;
  if (error.timedOut) return 'timeout';
  if (error.kind === 'lost' || error.kind === 'expired') return 'lost';
  return error.kind === 'fatal' ? 'refused' : 'unavailable';
}
