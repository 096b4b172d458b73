import type { Context } from '@temporalio/activity';
import type { ActivityInterceptors } from '@temporalio/worker';
import { type Identity, identityOf } from '../core/identity.ts';

/** What an activity is about, on everything that it logs and on the metrics that it records. */
export function activityIdentity({ info }: Context): ActivityInterceptors {
  let identity = identityOf(info.workflowExecution?.workflowId ?? '', info.workflowType ?? '');
  return {
    inbound: {
      execute(input, next) {
        identity = { ...identity, ...identityIn(input.args[0]) };
        return next(input);
      },
    },
    outbound: {
      getLogAttributes: (attributes, next) => next({ ...attributes, ...identity }),
      getMetricTags(tags, next) {
        const { run = '', stage = '', arm = '' } = identity;
        return next({ ...tags, run, stage, arm });
      },
    },
  };
}

/** An input's plan is surer than the workflow's id, which may have been chosen by hand. */
function identityIn(input: unknown): Identity {
  if (!isRecord(input)) return {};
  const { plan, search, slug } = input;
  const { run, arm } = [plan, search].find(isRecord) ?? {};
  return {
    ...(typeof run === 'string' && { run }),
    ...(typeof arm === 'string' && { arm }),
    ...(typeof slug === 'string' && { problem: slug }),
  };
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
