import type { Checkpoint } from '../core/checkpoint.ts';
import type { Funnel } from '../core/records.ts';
import type { Usage } from '../core/usage.ts';
import { attempt } from './boundary.ts';
import type { ActivityDeps } from './deps.ts';

/** The summary that ends a stage; its presence in the store means the stage is finished. */
export interface StoredStageResult {
  schema: 'astroflow.stage-result/1';
  stage: string;
  arm?: string;
  key: string;
  startedAtMs: number;
  endedAtMs: number;
  usage: Usage;
  /** sft, rl: where the arm stands now, published. */
  checkpoint?: Checkpoint;
  /** linearize: how many problems became how many rows. */
  funnel?: Funnel;
  /** search: how many problems have a tree, and a solved one. */
  trees?: { problems: number; trees: number; solved: number; reused: number };
  /** rl: iterations run, and why it ended before its last one. */
  iterations?: number;
  stopped?: string;
}

export function createResultActivities({ store }: ActivityDeps) {
  return {
    findResult: (input: { name: string }): Promise<StoredStageResult | null> =>
      attempt(async () => {
        const ref = await store.find(input.name);
        return ref === null ? null : store.getJson<StoredStageResult>(ref);
      }),

    /** Put if absent; returns what is stored, so two runs that finish one stage agree on its result. */
    storeResult: (input: { name: string; result: StoredStageResult }): Promise<StoredStageResult> =>
      attempt(async () => store.getJson<StoredStageResult>(await store.putJson(input.name, input.result))),
  };
}
