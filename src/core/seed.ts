import { sha256 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus';

/** The only source of randomness in the core: a seeded stream that is the same in every process. */
export interface Random {
  /** Uniform in [0, 1), 53 bits. */
  next(): number;
  /** Uniform in 0 … bound - 1. @throws RangeError unless bound is a positive 32-bit integer. */
  int(bound: number): number;
  /** One element. @throws RangeError when the list is empty. */
  pick<T>(items: readonly T[]): T;
  /** A shuffled copy (Fisher-Yates). */
  shuffle<T>(items: readonly T[]): T[];
}

/**
 * A 32-bit unsigned seed from what identifies a draw (configuration seed, stage key, problem, round, call). The parts
 * are hashed as a JSON list, so ('a', 'bc') and ('ab', 'c') differ, and so do 1 and '1'.
 */
export function deriveSeed(...parts: (string | number)[]): number {
  return words(JSON.stringify(parts))[0] >>> 0;
}

/** Any number is a good seed: the generator's state is a hash of it, so neighbouring seeds are unrelated. */
export function createRandom(seed: number): Random {
  const generator = xoroshiro128plusFromState(words(`random:${seed}`));
  const int = (bound: number): number => {
    if (!Number.isInteger(bound) || bound < 1 || bound > 0x1_0000_0000) {
      throw new RangeError(`A random integer needs a bound from 1 to 2^32, not ${bound}.`);
    }
    return uniformInt(generator, 0, bound - 1);
  };
  return {
    next: () => uniformFloat64(generator),
    int,
    pick: (items) => {
      if (items.length === 0) throw new RangeError('Cannot pick from an empty list.');
      return items[int(items.length)] as (typeof items)[number];
    },
    shuffle: (items) => {
      const shuffled = [...items];
      for (let i = shuffled.length - 1; i > 0; i--) {
        const j = int(i + 1);
        const moved = shuffled[i] as (typeof items)[number];
        shuffled[i] = shuffled[j] as (typeof items)[number];
        shuffled[j] = moved;
      }
      return shuffled;
    },
  };
}

/** The first 128 bits of a hash as four signed 32-bit words. */
function words(text: string): [number, number, number, number] {
  const bytes = sha256(utf8ToBytes(text));
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return [view.getInt32(0), view.getInt32(4), view.getInt32(8), view.getInt32(12)];
}
