import { WorkflowFailedError } from '@temporalio/client';
import { ActivityFailure, ApplicationFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import { describeFailure } from '../../src/cli/failure.ts';

const failed = (cause: Error) =>
  new WorkflowFailedError(
    'Workflow execution failed',
    new ActivityFailure('Activity task failed', 'resolveConfig', '1', 'NON_RETRYABLE_FAILURE', 'me', cause),
    'NON_RETRYABLE_FAILURE',
  );

describe('why a run failed', () => {
  it('is told without the wrappers around it', () => {
    const inner = ApplicationFailure.nonRetryable('no such model', 'ServiceRefused');
    expect(describeFailure(failed(inner))).toBe('ServiceRefused: no such model');
  });

  it('lists everything that is wrong with a configuration, once', () => {
    const problems = [
      { path: 'rl.search.steps', message: 'unknown field' },
      { path: 'seed', message: 'too small' },
    ];
    const inner = ApplicationFailure.nonRetryable('2 problems, seed: too small among them', 'InvalidConfig', problems);
    expect(describeFailure(failed(inner)).split('\n')).toEqual([
      'InvalidConfig: 2 problems, seed: too small among them',
      '  rl.search.steps: unknown field',
    ]);
  });

  it('is at least what was thrown', () => {
    expect(describeFailure('odd')).toBe('odd');
  });
});
