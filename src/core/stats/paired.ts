import { createRandom, deriveSeed } from '../seed.ts';
import { type BootstrapOptions, resampledMean, summarizeProblems, twoLevelInterval } from './bootstrap.ts';
import { mean, type ProblemScores, packScores, range, variance } from './samples.ts';
import { Z_95 } from './wilson.ts';

export interface PairedDifference {
  /** Problems that both sides have; the others are not compared. */
  problems: number;
  /** Mean over problems of (mean of `to`) - (mean of `from`). */
  difference: number;
  low: number;
  high: number;
  pValue: number;
  minimumDetectableDifference: number | null;
}

/**
 * How much better `to` scores than `from` on the same problems. Pairing removes the differences between problems,
 * usually the larger part of the noise: two scores whose intervals overlap may well differ.
 */
export function pairedDifference(
  from: readonly ProblemScores[],
  to: readonly ProblemScores[],
  options: BootstrapOptions,
): PairedDifference {
  const matched = matchProblems(from, to);
  const differences = matched.map(([a, b]) => mean(b.values) - mean(a.values));
  return {
    problems: matched.length,
    difference: mean(differences),
    ...differenceInterval(matched, options),
    pValue: signFlipPValue(differences, deriveSeed(options.seed, 'sign-flip')),
    minimumDetectableDifference: minimumDetectableDifference(differences),
  };
}

function matchProblems(from: readonly ProblemScores[], to: readonly ProblemScores[]): [ProblemScores, ProblemScores][] {
  const byId = new Map(
    to.filter((problem) => problem.values.length > 0).map((problem) => [problem.problemId, problem]),
  );
  return from.flatMap((a): [ProblemScores, ProblemScores][] => {
    const b = byId.get(a.problemId);
    return b && a.values.length > 0 ? [[a, b]] : [];
  });
}

/** Problems are drawn with replacement, then samples within each side of a drawn problem. */
function differenceInterval(
  matched: readonly [ProblemScores, ProblemScores][],
  options: BootstrapOptions,
): { low: number; high: number } {
  if (matched.length === 0) return { low: 0, high: 0 };
  const from = packScores(matched.map(([a]) => a));
  const to = packScores(matched.map(([, b]) => b));
  const before = summarizeProblems(from);
  const after = summarizeProblems(to);
  const { low, high } = twoLevelInterval(
    {
      means: after.means.map((value, i) => value - (before.means[i] as number)),
      noise: after.noise.map((value, i) => value + (before.noise[i] as number)),
      redraw: (problem, random) => resampledMean(to, problem, random) - resampledMean(from, problem, random),
    },
    { ...options, seed: deriveSeed(options.seed, 'bootstrap') },
  );
  const [leastFrom, mostFrom] = range(from);
  const [leastTo, mostTo] = range(to);
  return { low: Math.max(leastTo - mostFrom, low), high: Math.min(mostTo - leastFrom, high) };
}

/** Up to this many problems that differ, all sign patterns are visited (4,096); beyond, some are drawn. */
const EXACT_UP_TO = 12;
const PERMUTATIONS = 10_000;
/** Differences of means are sums of fractions: equal in theory, a few ulps apart in practice. */
const ROUNDING = 1e-9;

/**
 * Two-sided p-value of the sign-flip permutation test: were both checkpoints alike, each problem's difference could as
 * well have the other sign. Exact for up to 12 problems that differ, else (1 + as extreme) / (1 + drawn) over 10,000
 * draws (Phipson & Smyth 2010), which is never 0. Problems without a difference change nothing and are skipped.
 */
export function signFlipPValue(differences: readonly number[], seed: number): number {
  const nonZero = Float64Array.from(differences.filter((difference) => Math.abs(difference) > ROUNDING));
  const observed = Math.abs(nonZero.reduce((sum, difference) => sum + difference, 0)) - ROUNDING;
  if (nonZero.length === 0) return 1;

  if (nonZero.length <= EXACT_UP_TO) {
    const patterns = 2 ** nonZero.length;
    let extreme = 0;
    for (let signs = 0; signs < patterns; signs++) {
      let sum = 0;
      for (let i = 0; i < nonZero.length; i++) {
        sum += (signs >> i) & 1 ? (nonZero[i] as number) : -(nonZero[i] as number);
      }
      if (Math.abs(sum) >= observed) extreme += 1;
    }
    return extreme / patterns;
  }

  const random = createRandom(seed);
  let extreme = 0;
  for (let permutation = 0; permutation < PERMUTATIONS; permutation++) {
    let sum = 0;
    let signs = 0;
    for (let i = 0; i < nonZero.length; i++) {
      // One draw holds the signs of 24 problems.
      if (i % 24 === 0) signs = Math.floor(random.next() * 2 ** 24);
      sum += signs & 1 ? (nonZero[i] as number) : -(nonZero[i] as number);
      signs >>= 1;
    }
    if (Math.abs(sum) >= observed) extreme += 1;
  }
  return (1 + extreme) / (1 + PERMUTATIONS);
}

/** Standard normal quantile of 0.8. */
const Z_POWER = 0.8416212335729143;

/**
 * The true difference that a two-sided 5 % test on these problems would find with a probability of 80 %:
 * (z_0.975 + z_0.8) x standard error of the mean difference. Printed beside a difference, so that "not significant"
 * is not read as "equal". Null for fewer than two problems: nothing can be said.
 */
export function minimumDetectableDifference(differences: readonly number[]): number | null {
  if (differences.length < 2) return null;
  return (Z_95 + Z_POWER) * Math.sqrt(variance(differences) / differences.length);
}
