import type { Plan } from '../config/plan.ts';
import type { Ledger } from '../core/ledger/ledger.ts';
import type { Usage } from '../core/usage.ts';
import type { BooksStatus } from '../runs/status.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import { readLedger } from './books.ts';
import type { Home } from './home.ts';
import { short } from './progress.ts';

/** Reading the books means reading all that is stored, so it may take a twentieth of the time, and not more. */
const restPerRead = 20;
const leastRestMs = 10_000;
const deadlineMs = 10_000;

/**
 * Tells now and then what a run's calls cost so far. `look` begins a reading when one is due; a reading that fails tells
 * nothing, since the run does not depend on it.
 */
export function createBooksReader(
  planOf: () => Promise<Plan | null>,
  store: ArtifactStore,
  surroundings: { home: Home; env: NodeJS.ProcessEnv },
  show: (books: BooksStatus) => void,
) {
  let reading: Promise<void> | null = null;
  let nextMs = 0;

  async function read(): Promise<void> {
    const begunMs = performance.now();
    try {
      const plan = await planOf();
      if (plan === null) return;
      const signal = AbortSignal.timeout(deadlineMs);
      show(booksOf(await readLedger(plan, store, { ...surroundings, signal })));
    } catch {
      // The ledger command says what is wrong with the books; here they are a by-product.
    } finally {
      const endedMs = performance.now();
      nextMs = endedMs + Math.max(leastRestMs, (endedMs - begunMs) * restPerRead);
      reading = null;
    }
  }

  return {
    look(): void {
      if (reading === null && performance.now() >= nextMs) reading = read();
    },
    /** The last word, once the run has ended: what is under way, then one more reading. */
    async last(): Promise<void> {
      await reading;
      await read();
    },
  };
}

export function booksOf({ total, stages }: Ledger): BooksStatus {
  const tokens = (usage: Usage) => usage.promptTokens + usage.completionTokens;
  const wastedBy: Record<string, number> = {};
  for (const stage of stages) {
    for (const [reason, usage] of Object.entries(stage.wastedBy))
      wastedBy[reason] = (wastedBy[reason] ?? 0) + usage.calls;
  }
  return {
    creditedTokens: tokens(total.credited),
    wastedTokens: tokens(total.wasted),
    openTokens: total.open === null ? null : tokens(total.open),
    estimated: total.estimated,
    wastedCalls: wastedBy,
  };
}

/** `tokens        181k credited, 4.0k wasted (2 client gone), 900 open` */
export function booksLine({ creditedTokens, wastedTokens, openTokens, estimated, wastedCalls }: BooksStatus): string {
  const why = Object.entries(wastedCalls).map(([reason, calls]) => `${calls} ${reason}`);
  const wasted = `${estimated ? '~' : ''}${short(wastedTokens)} wasted${why.length === 0 ? '' : ` (${why.join(', ')})`}`;
  const open = openTokens === null ? 'open unknown' : `${short(openTokens)} open`;
  return `${'tokens'.padEnd(13)} ${short(creditedTokens)} credited, ${wasted}, ${open}`;
}
