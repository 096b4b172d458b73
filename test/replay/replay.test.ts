import { readdirSync, readFileSync } from 'node:fs';
import { DefaultLogger, type ReplayResult, Runtime, Worker } from '@temporalio/worker';
import { DeterminismViolationError } from '@temporalio/workflow';
import { beforeAll, describe, expect, it } from 'vitest';
import type { WorkflowBundle } from '../../src/workers/bundle.ts';
import * as workflows from '../../src/workflows/index.ts';
import { largestPayload } from '../support/history.ts';
import { sharedBundle } from '../support/shared-bundle.ts';

const folder = new URL('./histories/', import.meta.url);
const histories = readdirSync(folder)
  .filter((name) => name.endsWith('.json'))
  .map((name) => ({ name, history: JSON.parse(readFileSync(new URL(name, folder), 'utf8')) }));

let bundle: WorkflowBundle;
beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  bundle = await sharedBundle();
});

async function replayAll(workflowBundle: WorkflowBundle): Promise<Map<string, ReplayResult>> {
  const results = new Map<string, ReplayResult>();
  const all = histories.map(({ name, history }) => ({ workflowId: name, history }));
  for await (const result of Worker.runReplayHistories({ workflowBundle }, all)) results.set(result.workflowId, result);
  return results;
}

/** A change that breaks these breaks runs in flight: see histories/README.md before touching a file. */
describe('golden histories', () => {
  let results: Map<string, ReplayResult>;
  beforeAll(async () => {
    results = await replayAll(bundle);
  });

  it('exist for every workflow', () => {
    const recorded = new Set(
      histories.map(({ history }) => history.events[0].workflowExecutionStartedEventAttributes.workflowType.name),
    );
    expect([...recorded].sort()).toEqual(Object.keys(workflows).sort());
  });

  it.each(histories.map(({ name }) => name))('%s replays', (name) => {
    expect(results.get(name)?.error).toBeUndefined();
    expect(results.has(name)).toBe(true);
  });

  it.each(histories)('$name has no payload above 64 KiB and at most 2,000 events', ({ history }) => {
    expect(largestPayload(history)).toBeLessThanOrEqual(64 * 1024);
    expect(history.events.length).toBeLessThanOrEqual(2000);
  });

  it.each(histories)('$name never failed a workflow task', ({ history }) => {
    const types = history.events.map((event: { eventType: string }) => event.eventType);
    expect(types).not.toContain('EVENT_TYPE_WORKFLOW_TASK_FAILED');
    expect(types).not.toContain('EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT');
  });
});

describe('workflow code whose order was changed', () => {
  it('does not replay the histories of that workflow, and only those', async () => {
    const inOrder = /(await board\.run\('search'.*\n)(\s*)(await board\.run\('linearize'.*\n)/;
    expect(bundle.code).toMatch(inOrder);
    const results = await replayAll({ ...bundle, code: bundle.code.replace(inOrder, '$3$2$1') });
    for (const { name } of histories) {
      const isChanged = name.startsWith('astro-pipeline-');
      expect([name, results.get(name)?.error !== undefined]).toEqual([name, isChanged]);
    }
    const [changed] = histories.filter(({ name }) => name.startsWith('astro-pipeline-'));
    expect(results.get(changed!.name)?.error).toBeInstanceOf(DeterminismViolationError);
  });
});
