import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Plan } from '../config/plan.ts';
import type { Arm, RunConfig } from '../config/schema.ts';
import type { Renderer } from '../services/renderer/renderer.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import type { Columns, RowOf } from './columns.ts';
import { dataCard, type RowSet } from './data-card.ts';
import type { Part } from './folder.ts';
import { rlPromptColumns, rlPrompts } from './rl-prompts.ts';
import { rolloutColumns, rolloutRows } from './rollout-rows.ts';
import { sftColumns, sftRows } from './sft-rows.ts';
import { writeRows } from './write-rows.ts';

export interface RowsReport extends Part {
  sets: { name: string; rows: number }[];
  /** What the run has not made yet, in words. */
  missing: string[];
}

/** Writes everything that the arms have learned from and answered, and a card that says what it is. */
export async function exportRows(
  plan: Plan,
  arms: readonly Arm[],
  { store, renderer, signal }: { store: ArtifactStore; renderer: Pick<Renderer, 'decode'>; signal: AbortSignal },
  folder: string,
): Promise<RowsReport> {
  const sets: RowSet[] = [];
  const missing: string[] = [];
  async function write<Of extends Columns>(
    name: string,
    about: string,
    columns: Of,
    rows: AsyncIterable<RowOf<Of>> | null,
    otherwise: string,
  ): Promise<void> {
    if (rows === null) missing.push(otherwise);
    else sets.push({ name, about, columns, written: await writeRows(join(folder, name), columns, rows, signal) });
  }
  for (const arm of arms) {
    const rl = plan.rl[arm];
    const sft = await sftRows(store, plan.linearize, arm);
    await write(
      `sft-${arm}`,
      `a text that the ${arm} arm's fine-tuning learns from`,
      sftColumns,
      sft,
      `sft-${arm} (the traces are not written out)`,
    );
    if (rl.params.iterations === 0) continue;
    await write(
      `prompts-${arm}`,
      `a prompt that the ${arm} arm's reinforcement learning draws from, in verl's form`,
      rlPromptColumns,
      await rlPrompts(store, rl),
      `prompts-${arm} (reinforcement learning has not begun)`,
    );
    await write(
      `rollouts-${arm}`,
      `an answer sampled during the ${arm} arm's reinforcement learning`,
      rolloutColumns,
      await rolloutRows(store, rl, renderer),
      rl.policy.trainer?.kind === 'job'
        ? `rollouts-${arm} (a training job keeps its answers to itself)`
        : `rollouts-${arm} (nothing was sampled)`,
    );
  }
  const config = await store.getJson<RunConfig>(plan.config);
  await writeFile(join(folder, 'README.md'), dataCard(plan, config, sets, missing));
  return { sets: sets.map(({ name, written }) => ({ name, rows: written.rows })), missing };
}
