import { createRandom } from '../seed.ts';
import { mean, type PackedScores, type ProblemScores, packScores } from './samples.ts';

export interface Interval {
  value: number;
  low: number;
  high: number;
}

export interface BootstrapOptions {
  seed: number;
  /** Resamples; 2,000 keep the ends of a 95 % interval steady to about a twentieth of its width. */
  samples: number;
}

/**
 * Mean over problems of their mean score, with a 95 % percentile interval from a two-level bootstrap: problems are drawn
 * with replacement, then samples within each drawn problem. The second level repeats some sampling noise that the first
 * already carries, so the interval errs on the wide side. It covers the choice of problems and of samples, nothing
 * else: not the training seed.
 *
 * @returns All zero when there is no problem.
 */
export function bootstrapMean(scores: readonly ProblemScores[], options: BootstrapOptions): Interval {
  const packed = packScores(scores);
  const random = createRandom(options.seed);
  const means = new Float64Array(options.samples);
  for (let b = 0; b < means.length; b++) {
    let sum = 0;
    for (let i = 0; i < packed.problems; i++) {
      sum += resampledMean(packed, Math.floor(random.next() * packed.problems), random);
    }
    means[b] = sum / packed.problems;
  }
  return { value: problemMean(packed), ...percentileInterval(means) };
}

/** Mean over problems of their mean score. */
export function problemMean(packed: PackedScores): number {
  const means = Array.from({ length: packed.problems }, (_, i) =>
    mean(packed.values.subarray(packed.offsets[i], packed.offsets[i + 1])),
  );
  return mean(means);
}

/** Mean of as many draws with replacement from one problem's samples as it has. */
export function resampledMean(packed: PackedScores, problem: number, random: { next(): number }): number {
  const from = packed.offsets[problem] as number;
  const n = (packed.offsets[problem + 1] as number) - from;
  let sum = 0;
  for (let j = 0; j < n; j++) sum += packed.values[from + Math.floor(random.next() * n)] as number;
  return sum / n;
}

/** The middle 95 % of resampled statistics, with linear interpolation between order statistics. */
export function percentileInterval(resampled: Float64Array): { low: number; high: number } {
  if (resampled.length === 0 || Number.isNaN(resampled[0])) return { low: 0, high: 0 };
  const sorted = resampled.slice().sort();
  return { low: quantile(sorted, 0.025), high: quantile(sorted, 0.975) };
}

function quantile(sorted: Float64Array, q: number): number {
  const position = q * (sorted.length - 1);
  const below = Math.floor(position);
  const low = sorted[below] as number;
  const high = sorted[Math.min(below + 1, sorted.length - 1)] as number;
  return low + (high - low) * (position - below);
}
