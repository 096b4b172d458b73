import { readAccounts } from '../src/accounts/read-accounts.ts';
import type { ActivityDeps } from '../src/activities/deps.ts';
import { artifactNames, type Plan } from '../src/config/plan.ts';
import { foldLedger, type Ledger } from '../src/core/ledger/ledger.ts';

const deadlineMs = 60_000;

/** The books of a finished run: what is stored, beside what its services say they served. */
export async function readLedger({ store, services }: ActivityDeps, run: string): Promise<Ledger> {
  const ref = await store.find(artifactNames.run(run, 'plan.json'));
  if (ref === null) throw new Error(`the run ${run} has stored no plan`);
  const plan = await store.getJson<Plan>(ref);
  const signal = AbortSignal.timeout(deadlineMs);
  return foldLedger(await readAccounts(plan, { store, services: services(plan.search.policy), signal }));
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
