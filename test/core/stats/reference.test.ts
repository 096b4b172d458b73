import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { bootstrapMean } from '../../../src/core/stats/bootstrap.ts';
import { holm } from '../../../src/core/stats/holm.ts';
import { majAtK } from '../../../src/core/stats/maj-at-k.ts';
import { minimumDetectableDifference, signFlipPValue } from '../../../src/core/stats/paired.ts';
import { passAtK } from '../../../src/core/stats/pass-at-k.ts';
import { varianceComponents } from '../../../src/core/stats/samples.ts';
import { studentT975 } from '../../../src/core/stats/seeds.ts';
import { wilson } from '../../../src/core/stats/wilson.ts';
import { type Answers, referenceCases } from './reference-cases.ts';

/** `test/live/statistics.test.ts` asks SciPy and statsmodels again and holds this file against what they say. */
const answers = JSON.parse(readFileSync('test/fixtures/statistics.json', 'utf8')) as Answers;
const cases = referenceCases();

const scoresOf = (problems: readonly (readonly number[])[]) =>
  problems.map((values, i) => ({ problemId: `${i}`, values }));

describe('statistics, as SciPy and statsmodels compute them', () => {
  it('Wilson interval', () => {
    for (const [i, { right, n }] of cases.wilson.entries()) {
      const { low, high } = wilson(right, n);
      expect(low).toBeCloseTo(answers.wilson[i]![0], 9);
      expect(high).toBeCloseTo(answers.wilson[i]![1], 9);
    }
  });

  it('pass@k: the hypergeometric chance of at least one right sample', () => {
    for (const [i, { n, right, k }] of cases.passAtK.entries())
      expect(passAtK(n, right, k)).toBeCloseTo(answers.passAtK[i]!, 9);
  });

  it('maj@k: over the multivariate hypergeometric distribution of votes', () => {
    for (const [i, { classes, abstentions, k }] of cases.majAtK.entries())
      expect(majAtK(classes, abstentions, k)).toBeCloseTo(answers.majAtK[i]!, 9);
  });

  it('Holm correction', () => {
    for (const [i, pValues] of cases.holm.entries()) {
      for (const [j, adjusted] of holm(pValues).entries()) expect(adjusted).toBeCloseTo(answers.holm[i]![j]!, 12);
    }
  });

  it('sign-flip permutation test, exact', () => {
    for (const [i, differences] of cases.signFlip.entries())
      expect(signFlipPValue(differences, 1)).toBeCloseTo(answers.signFlip[i]!, 12);
  });

  it('minimum detectable difference', () => {
    for (const [i, differences] of cases.detectable.entries())
      expect(minimumDetectableDifference(differences)).toBeCloseTo(answers.detectable[i]!, 9);
  });

  it("quantiles of Student's t", () => {
    for (const [i, df] of cases.studentT975.entries()) expect(studentT975(df)).toBeCloseTo(answers.studentT975[i]!, 6);
  });

  it('variance between and within problems', () => {
    for (const [i, problems] of cases.variance.entries()) {
      const { between, within } = varianceComponents(scoresOf(problems));
      expect(between).toBeCloseTo(answers.variance[i]!.between, 9);
      expect(within).toBeCloseTo(answers.variance[i]!.within, 9);
    }
  });

  it('percentile bootstrap, where each problem has one sample', () => {
    for (const [i, values] of cases.bootstrap.entries()) {
      const { low, high } = bootstrapMean(scoresOf(values.map((value) => [value])), { seed: 1, samples: 20_000 });
      const [expectedLow, expectedHigh] = answers.bootstrap[i]!;
      const tolerance = 0.03 * (expectedHigh - expectedLow);
      expect(Math.abs(low - expectedLow)).toBeLessThan(tolerance);
      expect(Math.abs(high - expectedHigh)).toBeLessThan(tolerance);
    }
  });
});
