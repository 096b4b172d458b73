import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { printable } from '../core/foreign-text.ts';

/** Why a workflow failed, for people: the chain of causes, and what is wrong with a configuration as a list. */
export function describeFailure(error: unknown): string {
  const lines: string[] = [];
  let cause: unknown = error instanceof WorkflowFailedError ? (error.cause ?? error) : error;
  while (cause instanceof Error) {
    const type = cause instanceof ApplicationFailure && cause.type ? `${cause.type}: ` : '';
    const line = `${type}${cause.message}`;
    // Activity and child failures only say that something inside them failed.
    const wrapper = /^(Activity task failed|Child Workflow execution failed)$/i.test(cause.message);
    if (!wrapper && lines.at(-1) !== line) lines.push(line);
    if (cause instanceof ApplicationFailure && cause.type === 'InvalidConfig') lines.push(...configProblems(cause));
    cause = cause.cause;
  }
  return printable(lines.length > 0 ? lines.join('\n') : String(error));
}

/** Details of `InvalidConfig`, a list of `{ path, message }`, as far as its message does not list them itself. */
function configProblems(failure: ApplicationFailure): string[] {
  return (failure.details ?? []).flat().flatMap((detail) => {
    const { path, message } = (detail ?? {}) as { path?: unknown; message?: unknown };
    if (typeof path !== 'string' || typeof message !== 'string') return [];
    const line = `${path}: ${message}`;
    return failure.message.includes(line) ? [] : [`  ${line}`];
  });
}
