import { artifactNames, type Plan } from '../config/plan.ts';
import { withoutSecrets } from '../config/redact.ts';
import type { RunConfig } from '../config/schema.ts';
import type { ArtifactRef } from '../core/artifact.ts';
import { parseSummary, type Summary } from '../report/summary-schema.ts';
import { readIfThere } from '../runs/plans.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import type { AnswerReader } from './evaluations.ts';

/** What a person asked of a run that it cannot give; the message says what there is instead. */
export class NotInRun extends Error {
  override name = 'NotInRun';
}

/** A run as it lies in the store. */
export interface StoredRun {
  name: string;
  plan: Plan;
  store: ArtifactStore;
}

/** Defaults written out, secrets left out. */
export async function configOf({ plan, store }: StoredRun): Promise<RunConfig> {
  return withoutSecrets(await store.getJson<RunConfig>(plan.config));
}

/** Null while the run has not written it. */
export async function summaryOf({ name, store }: StoredRun): Promise<Summary | null> {
  const stored = await readIfThere(store, artifactNames.run(name, 'summary.json'));
  return stored === null ? null : parseSummary(stored);
}

/** Reads a run's answers. @throws NotInRun where its evaluation has not stored them yet */
export function answersReader({ name, store }: StoredRun): AnswerReader {
  const need = async (artifact: string): Promise<ArtifactRef> => {
    const ref = await store.find(artifact);
    if (ref !== null) return ref;
    throw new NotInRun(
      `${name} has no ${store.locate(artifact)} yet: its evaluation is not finished, see "astroflow status ${name}".`,
    );
  };
  return { store, need };
}
