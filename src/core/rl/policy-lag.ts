/**
 * How many versions the sampler was behind: from the oldest version that answers came from to the one that is trained
 * on them. 0 is on-policy, which a synchronous iteration is by its making; this counts what the answers say.
 *
 * @param used The policy version of each answer.
 * @param versions Those trained one after the other, oldest first; the last is the one that is trained now.
 * @returns `versions.length` where an answer names a version that is none of them.
 */
export function policyLag(used: Iterable<string>, versions: readonly string[]): number {
  const lags = [...new Set(used)].map((version) => {
    const at = versions.lastIndexOf(version);
    return at === -1 ? versions.length : versions.length - 1 - at;
  });
  return Math.max(0, ...lags);
}
