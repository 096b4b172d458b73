import type { SftRow } from '../records.ts';
import { createRandom, deriveSeed } from '../seed.ts';

/** One fine-tuning sequence as the trainer takes it; `weights` is about each token as a target. */
export interface SftDatum {
  tokens: number[];
  weights: number[];
}

type Row = Pick<SftRow, 'promptTokens' | 'completionTokens'>;

/**
 * The rows of one optimiser step. Rows come in an endless sequence of epochs, each a shuffle that is a pure function
 * of (seed, epoch), and a step takes the next `batchSize` of them: inside an epoch no row is skipped or doubled, and a
 * batch may reach over the end of one.
 *
 * @param step From 0.
 * @throws RangeError when there are no rows.
 */
export function sftBatch<T>(rows: readonly T[], seed: number, step: number, batchSize: number): T[] {
  if (rows.length === 0) throw new RangeError('no rows to train on: see the funnel for what became of the trees');
  const batch: T[] = [];
  let position = step * batchSize;
  const end = position + batchSize;
  while (position < end) {
    const epoch = Math.floor(position / rows.length);
    const order = epochOrder(rows, seed, epoch);
    const from = position - epoch * rows.length;
    const part = order.slice(from, from + end - position);
    batch.push(...part);
    position += part.length;
  }
  return batch;
}

function epochOrder<T>(rows: readonly T[], seed: number, epoch: number): T[] {
  return createRandom(deriveSeed(seed, 'sft-epoch', epoch)).shuffle(rows);
}

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
