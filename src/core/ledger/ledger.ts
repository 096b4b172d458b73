import type { TrainingArm } from '../records.ts';
import { addUsage, noUsage, type Usage } from '../usage.ts';
import { addTallies, settle } from './settle.ts';
import type { Account, LedgerError, Tally, WasteReason } from './types.ts';

export interface LedgerLine extends Tally {
  stage: string;
  arm?: TrainingArm;
  finished: boolean;
  wastedBy: Partial<Record<WasteReason, Usage>>;
  parts: ({ part: string } & Tally)[];
  errors: number;
}

/** What a run's stages cost: a fold over what is stored and what was served. */
export interface Ledger {
  schema: 'astroflow.ledger/1';
  stages: LedgerLine[];
  total: Tally;
  errors: LedgerError[];
}

/** Accounts of one stage, to as many services as it called, become one line. */
export function foldLedger(accounts: readonly Account[]): Ledger {
  const lines = new Map<string, LedgerLine>();
  const errors: LedgerError[] = [];
  for (const account of accounts) {
    const { stage, arm, finished } = account;
    const settled = settle(account);
    errors.push(...settled.errors);
    const line = lines.get(`${stage} ${arm}`);
    const parts = [...settled.parts].map(([part, tally]) => ({ part, ...tally }));
    lines.set(`${stage} ${arm}`, {
      stage,
      ...(arm !== undefined && { arm }),
      finished: finished && (line?.finished ?? true),
      ...(line === undefined ? settled.total : addTallies(line, settled.total)),
      wastedBy: addReasons(line?.wastedBy ?? {}, settled.wastedBy),
      parts: sameParts([...(line?.parts ?? []), ...parts]),
      errors: (line?.errors ?? 0) + settled.errors.length,
    });
  }
  const stages = [...lines.values()];
  const nothing: Tally = { credited: noUsage, wasted: noUsage, open: noUsage, estimated: false };
  return { schema: 'astroflow.ledger/1', stages, total: stages.reduce<Tally>(addTallies, nothing), errors };
}

function addReasons(a: LedgerLine['wastedBy'], b: LedgerLine['wastedBy']): LedgerLine['wastedBy'] {
  const sum = { ...a };
  for (const [reason, usage] of Object.entries(b)) {
    const of = reason as WasteReason;
    sum[of] = addUsage(sum[of] ?? noUsage, usage);
  }
  return sum;
}

/** A tree that was judged and narrated stands in two accounts. */
function sameParts(parts: LedgerLine['parts']): LedgerLine['parts'] {
  const sums = new Map<string, Tally>();
  for (const { part, ...tally } of parts) {
    const sum = sums.get(part);
    sums.set(part, sum === undefined ? tally : addTallies(sum, tally));
  }
  return [...sums].map(([part, tally]) => ({ part, ...tally }));
}
