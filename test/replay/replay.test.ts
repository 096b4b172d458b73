import { readdirSync, readFileSync } from 'node:fs';
import { DefaultLogger, type ReplayResult, Runtime, Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';
import * as workflows from '../../src/workflows/index.ts';
import { largestPayload } from '../support/history.ts';
import { bundleWorkflows } from '../support/pipeline.ts';

const folder = new URL('./histories/', import.meta.url);
const histories = readdirSync(folder)
  .filter((name) => name.endsWith('.json'))
  .map((name) => ({ name, history: JSON.parse(readFileSync(new URL(name, folder), 'utf8')) }));

/** A change that breaks these breaks runs in flight: see histories/README.md before touching a file. */
describe('golden histories', () => {
  const results = new Map<string, ReplayResult>();

  beforeAll(async () => {
    Runtime.install({ logger: new DefaultLogger('ERROR') });
    const all = histories.map(({ name, history }) => ({ workflowId: name, history }));
    for await (const result of Worker.runReplayHistories({ workflowBundle: await bundleWorkflows() }, all)) {
      results.set(result.workflowId, result);
    }
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
