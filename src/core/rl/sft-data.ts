import type { SftRow } from '../records.ts';

/** One fine-tuning sequence as the trainer takes it; `weights` is about each token as a target. */
export interface SftDatum {
  tokens: number[];
  weights: number[];
}

type Row = Pick<SftRow, 'promptTokens' | 'completionTokens'>;

/**
 * A batch for cross-entropy. Services sum the loss over tokens, so each target weighs 1 / (targets in the batch) and
 * the loss is the mean over tokens. Targets are the completion's tokens, and with `trainOnPrompt` the prompt's too
 * (the paper trains on all tokens); the first token of a sequence is never a target.
 */
export function sftData(rows: readonly Row[], options: { trainOnPrompt: boolean }): SftDatum[] {
  const firstTargets = rows.map((row) => (options.trainOnPrompt ? 1 : Math.max(1, row.promptTokens.length)));
  const lengths = rows.map((row) => row.promptTokens.length + row.completionTokens.length);
  const targets = lengths.reduce((sum, length, i) => sum + Math.max(0, length - (firstTargets[i] ?? 0)), 0);
  return rows.map((row, i) => ({
    tokens: [...row.promptTokens, ...row.completionTokens],
    weights: Array.from({ length: lengths[i] ?? 0 }, (_, t) => (t >= (firstTargets[i] ?? 0) ? 1 / targets : 0)),
  }));
}
