import { artifactNames, type Plan } from '../config/plan.ts';
import type { ArtifactStore } from '../services/store/store.ts';

const runName = /^[a-z0-9][a-z0-9._-]*$/;

/** The run that a person means by its name or by a workflow id (`astro/demo/rl/search`); null: it cannot be one. */
export function runNameOf(text: string): string | null {
  const name = text.replace(/^astro\//, '').split('/')[0] ?? '';
  return runName.test(name) ? name : null;
}

/** Runs that have begun with this store, by name. */
export async function storedRuns(store: ArtifactStore): Promise<string[]> {
  const folders = await store.list('runs');
  return folders.filter((name) => name.endsWith('/')).map((name) => name.slice(0, -1));
}

/** Null when no run of that name has begun with this store. */
export async function findPlan(store: ArtifactStore, run: string): Promise<Plan | null> {
  return readIfThere<Plan>(store, artifactNames.run(run, 'plan.json'));
}

export async function readIfThere<T>(store: ArtifactStore, name: string): Promise<T | null> {
  const ref = await store.find(name);
  return ref === null ? null : store.getJson<T>(ref);
}
