/** Answers that count as the same, how many samples gave them, and whether they are right. */
export interface AnswerClass {
  count: number;
  right: boolean;
}

/** Beyond this, C(n, k) leaves the range of a double. */
const MOST_SAMPLES = 1000;

/**
 * Expected accuracy of majority voting among k of the n samples, over all C(n, k) subsets: exact, by counting subsets
 * per composition of votes, never by drawing some.
 *
 * The class with most votes wins; a tie is broken evenly, so t tied classes get 1/t each. Samples without an answer
 * are drawn like any other but do not vote; a subset without a vote is wrong. Several classes may be right (Countdown
 * has more than one solution): each is a class of its own and votes are not pooled.
 *
 * @param abstentions Samples without an answer.
 * @throws RangeError unless 1 <= k <= n <= 1000.
 */
export function majAtK(classes: readonly AnswerClass[], abstentions: number, k: number): number {
  const n = classes.reduce((sum, one) => sum + one.count, abstentions);
  if (!(k >= 1 && k <= n)) throw new RangeError(`maj@${k} needs at least ${k} samples, there are ${n}`);
  if (n > MOST_SAMPLES) throw new RangeError(`maj@k is computed for at most ${MOST_SAMPLES} samples, there are ${n}`);
  let won = 0;
  classes.forEach((candidate, index) => {
    if (!candidate.right) return;
    const others = classes.filter((_, other) => other !== index).map((other) => other.count);
    for (let votes = 1; votes <= Math.min(k, candidate.count); votes++) {
      won += binomial(candidate.count, votes) * subsetsWon(others, abstentions, votes, k - votes);
    }
  });
  // Sums of large counts may end a rounding error above one.
  return Math.min(1, won / binomial(n, k));
}

/**
 * Subsets of `rest` samples, from the other classes and the abstentions, in which no class has more than `votes`, each
 * weighted by the candidate's share 1 / (1 + classes tied with it).
 */
function subsetsWon(others: readonly number[], abstentions: number, votes: number, rest: number): number {
  // ways[tied][drawn]: subsets of `drawn` samples of the classes seen so far in which `tied` classes have `votes`.
  let ways: number[][] = [[1, ...new Array<number>(rest).fill(0)]];
  for (const count of others) {
    const next = Array.from({ length: ways.length + 1 }, () => new Array<number>(rest + 1).fill(0));
    ways.forEach((row, tied) => {
      row.forEach((number, drawn) => {
        if (number === 0) return;
        for (let more = 0; more <= Math.min(count, votes, rest - drawn); more++) {
          const target = next[more === votes ? tied + 1 : tied] as number[];
          target[drawn + more] = (target[drawn + more] ?? 0) + number * binomial(count, more);
        }
      });
    });
    // No more than rest / votes classes can be tied: the other rows are zero.
    ways = next.slice(0, Math.floor(rest / votes) + 1);
  }
  let weighted = 0;
  ways.forEach((row, tied) => {
    row.forEach((number, drawn) => {
      if (number > 0) weighted += (number * binomial(abstentions, rest - drawn)) / (1 + tied);
    });
  });
  return weighted;
}

function binomial(n: number, k: number): number {
  if (k < 0 || k > n) return 0;
  let result = 1;
  for (let i = 1; i <= Math.min(k, n - k); i++) result = (result * (n - Math.min(k, n - k) + i)) / i;
  return result;
}
