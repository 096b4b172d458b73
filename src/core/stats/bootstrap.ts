import { createRandom, type Random } from '../seed.ts';
import { mean, type PackedScores, type ProblemScores, packScores, range, variance } from './samples.ts';

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
 * Mean over problems of their mean score, with a 95 % interval of the two-level bootstrap. It covers the choice of
 * problems and of samples, nothing else: not the training seed.
 *
 * @returns All zero when there is no problem.
 */
export function bootstrapMean(scores: readonly ProblemScores[], options: BootstrapOptions): Interval {
  const packed = packScores(scores);
  if (packed.problems === 0) return { value: 0, low: 0, high: 0 };
  const { means, noise } = summarizeProblems(packed);
  const { low, high } = twoLevelInterval(
    { means, noise, redraw: (problem, random) => resampledMean(packed, problem, random) },
    options,
  );
  // The shrinkage below may place a few resampled means of a handful of problems beyond any possible score.
  const [least, most] = range(packed);
  return { value: mean(means), low: Math.max(least, low), high: Math.min(most, high) };
}

/** What the two-level bootstrap resamples: one statistic per problem, its noise, and how to draw it again. */
export interface TwoLevel {
  means: Float64Array;
  /** Variance of each problem's statistic under `redraw`. */
  noise: Float64Array;
  redraw(problem: number, random: Random): number;
}

/**
 * 95 % percentile interval of the mean of the problems' statistics: problems are drawn with replacement, then samples
 * within each drawn problem.
 *
 * Done naively, that counts the noise of the samples twice, since the problems' means already hold it, and the interval
 * is up to 1.4 times too wide (Davison & Hinkley 1997, Sec. 3.8). So the means are first drawn together around their
 * centre by as much as the second level will spread them: both levels together have the variance that the data show.
 */
export function twoLevelInterval(of: TwoLevel, options: BootstrapOptions): { low: number; high: number } {
  const problems = of.means.length;
  const centre = mean(of.means);
  const shown = variance(of.means);
  const keep = shown > 0 ? Math.sqrt(Math.max(0, 1 - mean(of.noise) / shown)) : 0;
  const shifts = of.means.map((value) => centre + keep * (value - centre) - value);

  const random = createRandom(options.seed);
  const resampled = new Float64Array(options.samples);
  for (let b = 0; b < resampled.length; b++) {
    let sum = 0;
    for (let i = 0; i < problems; i++) {
      const problem = Math.floor(random.next() * problems);
      sum += of.redraw(problem, random) + (shifts[problem] as number);
    }
    resampled[b] = sum / problems;
  }
  return percentileInterval(resampled);
}

/** Mean of each problem, and the variance that drawing its samples again gives that mean. */
export function summarizeProblems(packed: PackedScores): { means: Float64Array; noise: Float64Array } {
  const means = new Float64Array(packed.problems);
  const noise = new Float64Array(packed.problems);
  for (let i = 0; i < packed.problems; i++) {
    const values = packed.values.subarray(packed.offsets[i], packed.offsets[i + 1]);
    means[i] = mean(values);
    // Drawing from n values has their population variance, (n - 1) / n of the unbiased one, over n draws.
    noise[i] = (variance(values) * (values.length - 1)) / values.length ** 2;
  }
  return { means, noise };
}

/** Mean of as many draws with replacement from one problem's samples as it has. */
export function resampledMean(packed: PackedScores, problem: number, random: Random): number {
  const from = packed.offsets[problem] as number;
  const n = (packed.offsets[problem + 1] as number) - from;
  let sum = 0;
  for (let j = 0; j < n; j++) sum += packed.values[from + Math.floor(random.next() * n)] as number;
  return sum / n;
}

/** The middle 95 % of resampled statistics, with linear interpolation between order statistics. */
function percentileInterval(resampled: Float64Array): { low: number; high: number } {
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
