import type { Plan } from '../config/plan.ts';
import { foldLedger } from '../core/ledger/ledger.ts';
import type { StageUsage, TrainingArm } from '../core/records.ts';
import { type Books, readAccounts } from './read-accounts.ts';

/** Trees whose rounds are read for the reasons of waste; a larger search has them in `astroflow ledger` only. */
const mostTrees = 5_000;

/**
 * Why a run's stages wasted what they wasted: sampled tokens by reason, of the stage asked for. Null where a service
 * keeps no journal, or where the search is too large to read for it.
 */
export async function wasteByReason(
  plan: Plan,
  books: Books,
): Promise<(stage: string, arm?: TrainingArm) => StageUsage['wastedBy']> {
  if (plan.search.problems.count > mostTrees) return () => null;
  const { stages } = foldLedger(await readAccounts(plan, books));
  return (stage, arm) => {
    const line = stages.find((one) => one.stage === stage && one.arm === arm);
    if (line === undefined) return {};
    if (line.estimated) return null;
    return Object.fromEntries(
      Object.entries(line.wastedBy).map(([reason, { calls, completionTokens }]) => [
        reason,
        { calls, tokens: completionTokens },
      ]),
    );
  };
}
