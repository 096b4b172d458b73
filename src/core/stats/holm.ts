/**
 * Holm's step-down adjustment (Holm 1979): the i-th smallest of m p-values times m - i + 1, made non-decreasing and at
 * most 1. Rejecting where the adjusted value is below alpha keeps the chance of any false rejection below alpha.
 *
 * @returns Adjusted p-values in the order given.
 */
export function holm(pValues: readonly number[]): number[] {
  const order = pValues.map((_, index) => index).sort((a, b) => (pValues[a] ?? 0) - (pValues[b] ?? 0));
  const adjusted = new Array<number>(pValues.length).fill(1);
  let largest = 0;
  order.forEach((index, rank) => {
    largest = Math.max(largest, Math.min(1, (pValues.length - rank) * (pValues[index] ?? 1)));
    adjusted[index] = largest;
  });
  return adjusted;
}
