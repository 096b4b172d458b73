import {
  ActivityFailure,
  ApplicationFailure,
  ChildWorkflowFailure,
  TerminatedFailure,
  TimeoutFailure,
} from '@temporalio/workflow';
import { isServiceFailure } from '../core/failures.ts';

/** No problem has a tree, so there is nothing to learn from. */
export function searchFailure(problems: number, firstFailure: string | undefined): ApplicationFailure {
  return ApplicationFailure.nonRetryable(
    `none of ${problems} problems could be searched; the first failure: ${firstFailure ?? 'unknown'}`,
    'SearchFailed',
  );
}

/** A workflow that only its parent can start was started by hand. */
export function startedByHand(workflow: string, instead: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(
    `"${workflow}" is started by "${instead}": start that one, with a run configuration`,
    'InvalidConfig',
  );
}

/** The service refuses what we send: every other problem or tree would meet the same answer. */
export function isRefusal(error: unknown): boolean {
  return failureType(error) === 'ServiceRefused';
}

/** Type of the failure at the bottom; undefined for timeouts, terminations and unexpected errors. */
export function failureType(error: unknown): string | undefined {
  const cause = rootCause(error);
  return cause instanceof ApplicationFailure ? (cause.type ?? undefined) : undefined;
}

/** The service's doing, however the attempts at it ended. */
export function isServiceFault(error: unknown): boolean {
  return isServiceFailure(failureType(error));
}

/** A child that was terminated, or ran out of time, without having failed itself. */
export function isLostChild(error: unknown): boolean {
  const cause = rootCause(error);
  return cause instanceof TerminatedFailure || (cause instanceof TimeoutFailure && !hasActivity(error));
}

function hasActivity(error: unknown): boolean {
  return error instanceof ActivityFailure || (error instanceof ChildWorkflowFailure && hasActivity(error.cause));
}

/** The failure at the bottom for a person who has to decide, type first. */
export function typedMessage(error: unknown): string {
  const type = failureType(error);
  return `${type ? `${type}: ` : ''}${rootMessage(error)}`;
}

/** Why a problem or tree is left behind, short enough for an index. */
export function rootMessage(error: unknown): string {
  const cause = rootCause(error);
  return (cause instanceof Error ? cause.message : String(cause)).slice(0, 200);
}

function rootCause(error: unknown): unknown {
  let cause = error;
  while ((cause instanceof ChildWorkflowFailure || cause instanceof ActivityFailure) && cause.cause)
    cause = cause.cause;
  return cause;
}
