import { ApplicationFailure } from '@temporalio/workflow';

/** No problem has a tree, so there is nothing to learn from. */
export function searchFailure(problems: number, firstFailure: string | undefined): ApplicationFailure {
  return ApplicationFailure.nonRetryable(
    `none of ${problems} problems could be searched; the first failure: ${firstFailure ?? 'unknown'}`,
    'SearchFailed',
  );
}
