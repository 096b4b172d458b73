import { createRandom } from '../../../src/core/seed.ts';

/** What the statistics are asked, and what SciPy and statsmodels answer: `test/fixtures/statistics.json`. */
export interface Cases {
  wilson: { right: number; n: number }[];
  passAtK: { n: number; right: number; k: number }[];
  majAtK: { classes: { count: number; right: boolean }[]; abstentions: number; k: number }[];
  holm: number[][];
  /** Twelve at most, so that the permutation test is exact. */
  signFlip: number[][];
  detectable: number[][];
  studentT975: number[];
  /** Scores of each problem's samples, equally many of each. */
  variance: number[][][];
  /** One score of each problem: the bootstrap over problems alone. */
  bootstrap: number[][];
}

export interface Answers {
  versions: Record<string, string>;
  wilson: [low: number, high: number][];
  passAtK: number[];
  majAtK: number[];
  holm: number[][];
  signFlip: number[];
  detectable: number[];
  studentT975: number[];
  variance: { between: number; within: number }[];
  bootstrap: [low: number, high: number][];
}

/** Seeded, so that the recorded answers are those to these cases. */
export function referenceCases(): Cases {
  const random = createRandom(20260101);
  const times = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make);
  const upTo = (most: number) => random.int(most + 1);
  const differences = (count: number) => times(count, () => (upTo(8) - 4) / 4);
  return {
    wilson: [{ right: 0, n: 20 }, { right: 9, n: 30 }, { right: 30, n: 30 }, ...times(20, () => of(1 + upTo(400)))],
    passAtK: times(40, () => {
      const n = 1 + upTo(64);
      return { n, right: upTo(n), k: 1 + upTo(n - 1) };
    }),
    majAtK: times(25, () => {
      const classes = times(1 + upTo(3), () => ({ count: 1 + upTo(4), right: random.next() < 0.5 }));
      const abstentions = upTo(3);
      const n = classes.reduce((sum, { count }) => sum + count, abstentions);
      return { classes, abstentions, k: 1 + upTo(n - 1) };
    }),
    holm: [[0.01, 0.04, 0.03, 0.005], ...times(20, () => times(1 + upTo(7), () => random.next() ** 2))],
    signFlip: times(20, () => differences(2 + upTo(10))),
    detectable: times(10, () => differences(2 + upTo(40))),
    studentT975: [...Array.from({ length: 60 }, (_, i) => i + 1), 100, 500],
    variance: times(10, () => {
      const samples = 2 + upTo(4);
      return times(3 + upTo(20), () => {
        const rate = random.next();
        return times(samples, () => (random.next() < rate ? 1 : 0));
      });
    }),
    bootstrap: times(5, () => times(40 + upTo(200), () => random.next())),
  };

  function of(n: number) {
    return { right: upTo(n), n };
  }
}
