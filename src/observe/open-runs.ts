import type { Client } from '@temporalio/client';
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';
import { identityOf } from '../core/identity.ts';
import { type Meter, recorder } from '../core/metrics.ts';
import { searchAttributes } from '../core/search-attributes.ts';

/** Also how long an answered question still shows. */
const everyMs = 15_000;
/** No look takes longer. */
const lookMs = 10_000;

/** The workflows that people start; as children of a pipeline they are told by their parent. */
const started = ['astroPipeline', 'searchCorpus', 'linearizeCorpus', 'fineTune', 'reinforce', 'evaluate'];
const query = `ExecutionStatus = 'Running' AND WorkflowType IN (${started.map((type) => `'${type}'`).join(', ')})`;

const attentionKey = defineSearchAttributeKey(searchAttributes.attention, SearchAttributeType.BOOL);

export interface OpenRuns {
  /** Looks now, as it does by itself every few seconds. Never fails. */
  look(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Looks up at the server which runs are open and which wait for a person. A workflow cannot say so itself: its gauge
 * would stay on a worker that it has left, and be missing on one that was restarted. Every worker process says the same.
 */
export function watchOpenRuns(client: Client, meter: Meter, warn: (message: string) => void): OpenRuns {
  const record = recorder(meter);
  /** Runs seen open, and whether they had the attribute: what is over is set to 0. */
  const known = new Map<string, boolean>();
  let failed = false;

  async function look(): Promise<void> {
    const open = new Map<string, boolean | undefined>();
    for await (const { workflowId, type, typedSearchAttributes, parentExecution } of client.workflow.list({ query })) {
      if (parentExecution !== undefined) continue;
      const { run } = identityOf(workflowId, type);
      const asks = typedSearchAttributes.get(attentionKey);
      if (run !== undefined) open.set(run, open.get(run) || asks);
    }
    for (const run of known.keys()) if (!open.has(run)) show(run, 0, known.get(run) ? false : undefined);
    for (const [run, asks] of open) show(run, 1, asks);
  }

  function show(run: string, isOpen: 0 | 1, asks: boolean | undefined): void {
    record.set('astroflow_run_open', isOpen, { run });
    if (asks !== undefined) record.set('astroflow_attention', asks ? 1 : 0, { run });
    if (isOpen) known.set(run, asks !== undefined);
    else known.delete(run);
  }

  /** Metrics are no reason to stop a worker: what fails is said once, until it works again. */
  async function lookCarefully(): Promise<void> {
    try {
      await client.withDeadline(Date.now() + lookMs, look);
      failed = false;
    } catch (error) {
      if (!failed) warn(`open runs cannot be listed: ${error instanceof Error ? error.message : String(error)}`);
      failed = true;
    }
  }

  let looking = lookCarefully();
  const next = () => {
    looking = looking.then(lookCarefully);
    return looking;
  };
  const timer = setInterval(next, everyMs);
  timer.unref();
  return {
    look: next,
    async stop() {
      clearInterval(timer);
      await looking;
    },
  };
}
