import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { readAccounts } from '../src/accounts/read-accounts.ts';
import type { ActivityDeps } from '../src/activities/deps.ts';
import { createActivities } from '../src/activities/index.ts';
import type { ResolvedInput } from '../src/activities/resolve-config.ts';
import { rootWorkflow, workflowIdFor } from '../src/cli/start.ts';
import type { RunConfigInput } from '../src/config/schema.ts';
import { foldLedger, type Ledger } from '../src/core/ledger/ledger.ts';

/** The books of a finished run: what is stored, beside what its services say they served. */
export async function readLedger(deps: ActivityDeps, run: string, config: RunConfigInput): Promise<Ledger> {
  // The run stored its plan's parts; the same configuration gives the same plan, and stores nothing new.
  const resolving = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
  const input = { input: { ...config, run }, workflowId: workflowIdFor(run, rootWorkflow), workflowType: rootWorkflow };
  const { plan } = (await resolving.run(createActivities(deps).resolveConfig, input)) as ResolvedInput;
  const { signal } = new AbortController();
  return foldLedger(
    await readAccounts(plan, { store: deps.store, services: deps.services(plan.search.policy), signal }),
  );
}

/** Tokens that are not as they should be, and where: errors of the books, and credit that differs from the reference. */
export function compareLedgers(reference: Ledger | null, disturbed: Ledger): { difference: number; notes: string[] } {
  const notes = disturbed.errors.map(({ kind, call, message }) => `ledger: ${call} ${kind}: ${message}`);
  let difference = disturbed.errors.length;
  for (const { stage, arm, credited } of disturbed.stages) {
    const before = reference?.stages.find((line) => line.stage === stage && line.arm === arm)?.credited;
    if (reference === null || before === undefined) continue;
    const apart =
      Math.abs(before.calls - credited.calls) +
      Math.abs(before.promptTokens - credited.promptTokens) +
      Math.abs(before.completionTokens - credited.completionTokens);
    if (apart === 0) continue;
    difference += apart;
    notes.push(`ledger: ${stage} ${arm ?? ''} credits ${credited.completionTokens}, not ${before.completionTokens}`);
  }
  return { difference, notes };
}
