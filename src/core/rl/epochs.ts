import { createRandom, deriveSeed } from '../seed.ts';

/**
 * The items of one step: rows of an optimiser step, prompts of an iteration. They come in an endless sequence of
 * epochs, each a shuffle that is a pure function of (seed, epoch), and a step takes the next `batchSize` of them:
 * inside an epoch none is skipped or doubled, and a batch may reach over the end of one.
 *
 * @param step From 0.
 * @throws RangeError when there are no items.
 */
export function epochBatch<T>(items: readonly T[], seed: number, step: number, batchSize: number): T[] {
  if (items.length === 0) throw new RangeError('nothing to train on: see the funnel for what became of the trees');
  const batch: T[] = [];
  let position = step * batchSize;
  const end = position + batchSize;
  while (position < end) {
    const epoch = Math.floor(position / items.length);
    const order = epochOrder(items, seed, epoch);
    const from = position - epoch * items.length;
    const part = order.slice(from, from + end - position);
    batch.push(...part);
    position += part.length;
  }
  return batch;
}

function epochOrder<T>(items: readonly T[], seed: number, epoch: number): T[] {
  return createRandom(deriveSeed(seed, 'epoch', epoch)).shuffle(items);
}
