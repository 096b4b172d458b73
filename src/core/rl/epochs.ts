import { createRandom, deriveSeed } from '../seed.ts';

/**
 * The items of each step: rows of an optimiser step, prompts of an iteration. They come in an endless sequence of
 * epochs, each a shuffle that is a pure function of (seed, epoch), and a step takes the next `batchSize` of them:
 * inside an epoch none is skipped or doubled, and a batch may reach over the end of one. An epoch is shuffled once for
 * all steps that follow each other in it: a shuffle for each step would make training quadratic in the rows.
 *
 * @returns the batch of a step, from 0
 * @throws RangeError when there are no items.
 */
export function epochBatches<T>(items: readonly T[], seed: number, batchSize: number): (step: number) => T[] {
  if (items.length === 0) throw new RangeError('nothing to train on: see the funnel for what became of the trees');
  let last: { epoch: number; order: readonly T[] } | undefined;
  const orderOf = (epoch: number): readonly T[] => {
    if (last?.epoch !== epoch) last = { epoch, order: epochOrder(items, seed, epoch) };
    return last.order;
  };
  return (step) => {
    const batch: T[] = [];
    let position = step * batchSize;
    const end = position + batchSize;
    while (position < end) {
      const epoch = Math.floor(position / items.length);
      const from = position - epoch * items.length;
      const part = orderOf(epoch).slice(from, from + end - position);
      batch.push(...part);
      position += part.length;
    }
    return batch;
  };
}

/** The batch of one step. @throws RangeError when there are no items. */
export function epochBatch<T>(items: readonly T[], seed: number, step: number, batchSize: number): T[] {
  return epochBatches(items, seed, batchSize)(step);
}

function epochOrder<T>(items: readonly T[], seed: number, epoch: number): T[] {
  return createRandom(deriveSeed(seed, 'epoch', epoch)).shuffle(items);
}
