/** What the samples of one problem scored; 1 and 0 for right and wrong. */
export interface ProblemScores {
  problemId: string;
  values: readonly number[];
}

/** Scores of all problems end to end in one typed array: problem i is `values[offsets[i] .. offsets[i + 1])`. */
export interface PackedScores {
  values: Float64Array;
  offsets: Int32Array;
  problems: number;
}

/** Problems without a sample say nothing and are left out. */
export function packScores(scores: readonly ProblemScores[]): PackedScores {
  const kept = scores.filter((problem) => problem.values.length > 0);
  const offsets = new Int32Array(kept.length + 1);
  kept.forEach((problem, i) => {
    offsets[i + 1] = (offsets[i] ?? 0) + problem.values.length;
  });
  return { values: Float64Array.from(kept.flatMap((problem) => problem.values)), offsets, problems: kept.length };
}

/** Smallest and largest value; a mean of them lies between. @throws TypeError when there is none. */
export function range(packed: PackedScores): [least: number, most: number] {
  return [packed.values.reduce((a, b) => Math.min(a, b)), packed.values.reduce((a, b) => Math.max(a, b))];
}

export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] as number;
  return values.length === 0 ? 0 : sum / values.length;
}

/** Unbiased sample variance; 0 for fewer than two values. */
export function variance(values: ArrayLike<number>): number {
  if (values.length < 2) return 0;
  const centre = mean(values);
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += ((values[i] as number) - centre) ** 2;
  return sum / (values.length - 1);
}

/**
 * Variance of a single sample's score split into its parts: between problems (how different they are) and within them
 * (how much one problem's samples differ): within = MSW, between = (MSB - MSW) / n for n samples each (one-way ANOVA,
 * Searle, Casella & McCulloch 1992, Sec. 3.6). More samples per problem only shrink the second.
 */
export function varianceComponents(scores: readonly ProblemScores[]): { between: number; within: number } {
  const kept = scores.filter((problem) => problem.values.length > 0);
  const repeated = kept.filter((problem) => problem.values.length > 1);
  const within = mean(repeated.map((problem) => variance(problem.values)));
  // The variance of problem means holds within / n of noise; one-way ANOVA takes it out again.
  const noise = mean(kept.map((problem) => within / problem.values.length));
  return { between: Math.max(0, variance(kept.map((problem) => mean(problem.values))) - noise), within };
}
