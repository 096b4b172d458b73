import { join } from 'node:path';
import { readAccounts } from '../accounts/read-accounts.ts';
import type { Plan } from '../config/plan.ts';
import { foldLedger, type Ledger } from '../core/ledger/ledger.ts';
import { engineVariable } from '../services/address.ts';
import { createServices } from '../services/index.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import { withEngineFile } from './engine-journal.ts';
import type { Home } from './home.ts';
import { readServerFile } from './server-file.ts';

/** What a run's calls cost by now, from what is stored and what the services' journals say. */
export async function readLedger(
  plan: Plan,
  store: ArtifactStore,
  { home, env, signal }: { home: Home; env: NodeJS.ProcessEnv; signal: AbortSignal },
): Promise<Ledger> {
  const services = journaledServices(plan, { home, env });
  return foldLedger(await readAccounts(plan, { store, services, signal }));
}

/** A run's services; of an engine that has stopped, the journal that it left. */
export function journaledServices(plan: Plan, { home, env }: { home: Home; env: NodeJS.ProcessEnv }) {
  const { policy } = plan.search;
  const engineUrl = env[engineVariable] ?? readServerFile(home.server)?.engineUrl;
  const services = createServices(policy, engineUrl === undefined ? env : { ...env, [engineVariable]: engineUrl });
  return engineUrl === undefined ? withEngineFile(services, policy, join(home.engine, 'usage.jsonl')) : services;
}
