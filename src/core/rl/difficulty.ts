/**
 * Whether a pass rate lies in the moderate band, both ends included: low 0 and high 1 keep every problem, 0.01 and
 * 0.75 leave out what is never solved and what is solved nearly always. Problems outside the band mostly give uniform
 * groups, which cost samples and carry no gradient.
 */
export function inDifficultyBand(passRate: number, low: number, high: number): boolean {
  return passRate >= low && passRate <= high;
}
