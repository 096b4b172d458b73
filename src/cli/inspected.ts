import { NotInRun, type StoredRun } from '../inspect/stored-run.ts';
import { openStore } from '../services/store/open.ts';
import { CliError } from './errors.ts';
import type { Home } from './home.ts';
import { storedPlan } from './stored-run.ts';

/** @throws CliError for the first name that is no run, with those there are */
export async function openRuns(home: Home, names: readonly string[]): Promise<StoredRun[]> {
  const store = await openStore(home.artifacts);
  const runs: StoredRun[] = [];
  for (const name of names) {
    const plan = await storedPlan(store, name);
    runs.push({ name: plan.run, plan, store });
  }
  return runs;
}

/** Prints what was found, text or JSON; what a person can put right is one message. */
export async function inspected(find: () => Promise<string | object>): Promise<number> {
  try {
    const found = await find();
    console.log(typeof found === 'string' ? found : JSON.stringify(found, null, 2));
    return 0;
  } catch (error) {
    throw error instanceof NotInRun ? new CliError(error.message) : error;
  }
}
