import type { StoredStageResult } from '../activities/results.ts';
import { artifactNames, type Plan } from '../config/plan.ts';
import type { Arm } from '../config/schema.ts';
import { readIfThere } from '../runs/plans.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import type { Entry } from './evaluations.ts';

/** One stage that a checkpoint comes from. */
export interface Ancestor {
  stage: 'rl' | 'sft' | 'linearize' | 'search' | 'base';
  arm?: Arm;
  key: string;
  /** What the stage ended in, in words. */
  what: string;
  /** Name in the store; null for the base, which nothing here made. */
  result: string | null;
}

/** The arm that a checkpoint was trained in; null for the base. */
export function armOf(plan: Plan, entry: Entry): Arm | null {
  if (entry.stage === null) return null;
  const slice = plan[entry.stage];
  return plan.arms.find((arm) => slice[arm].key === entry.stageKey) ?? null;
}

/** From a checkpoint back to the base, newest first. */
export async function lineageOf(plan: Plan, entry: Entry, store: ArtifactStore): Promise<Ancestor[]> {
  const arm = armOf(plan, entry);
  const base: Ancestor = { stage: 'base', key: plan.search.policy.base, what: 'the base model', result: null };
  if (arm === null) return [base];
  const read = (name: string) => readIfThere<StoredStageResult>(store, name);
  const ancestors: Ancestor[] = [];
  if (entry.stage === 'rl') {
    const result = artifactNames.result('rl', plan.rl[arm].key);
    const stored = await read(result);
    const stopped = stored?.stopped === undefined ? '' : `, stopped: ${stored.stopped}`;
    const what = `${stored?.iterations ?? 0} iterations, ${nameOf(stored)}${stopped}`;
    ancestors.push({ stage: 'rl', arm, key: plan.rl[arm].key, what, result });
  }
  const sft = artifactNames.result('sft', plan.sft[arm].key);
  const steps = `${plan.sft[arm].params.steps} steps, ${nameOf(await read(sft))}`;
  ancestors.push({ stage: 'sft', arm, key: plan.sft[arm].key, what: steps, result: sft });
  const rows = artifactNames.result('linearize', plan.linearize.key);
  const funnel = (await read(rows))?.funnel;
  const counts = `${funnel?.searchRows ?? 0} search and ${funnel?.directRows ?? 0} direct rows`;
  ancestors.push({ stage: 'linearize', key: plan.linearize.key, what: counts, result: rows });
  const search = artifactNames.searchResult(plan.search);
  const trees = (await read(search))?.trees;
  const found = `${trees?.trees ?? 0} trees, ${trees?.solved ?? 0} of them solved`;
  ancestors.push({ stage: 'search', key: plan.search.key, what: found, result: search });
  return [...ancestors, base];
}

const nameOf = (stored: StoredStageResult | null) =>
  `checkpoint ${stored?.checkpoint?.samplerModel ?? stored?.checkpoint?.id ?? 'not stored'}`;
