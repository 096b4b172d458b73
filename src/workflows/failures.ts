import { ApplicationFailure } from '@temporalio/workflow';

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
