import { ActivityFailure, ApplicationFailure, ChildWorkflowFailure } from '@temporalio/workflow';

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
  const cause = rootCause(error);
  return cause instanceof ApplicationFailure && cause.type === 'ServiceRefused';
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
