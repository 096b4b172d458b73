import { integer, percent } from './format.ts';
import type { Summary } from './summary-schema.ts';

/** What a reader must know before trusting scores or differences, a sentence each; nothing where all is as it should be. */
export function scoreNotes({ scores, comparisons }: Pick<Summary, 'scores' | 'comparisons'>): string[] {
  return [
    ...scores.flatMap(({ checkpoint, benchmark, counts, passAt1WithoutErrors }) => {
      if (counts === null || counts.errored === 0) return [];
      const without =
        passAt1WithoutErrors === null ? '' : `; without them it is ${percent(passAt1WithoutErrors.value)}`;
      const whole = counts.quarantined === 0 ? '' : `, all of ${plural(counts.quarantined, 'problem')} among them`;
      return [
        `${plural(counts.errored, 'sample')} of ${checkpoint} on ${benchmark} got no answer from the service${whole}: ` +
          `they count as wrong${without}.`,
      ];
    }),
    ...comparisons
      .filter(({ sameProtocol }) => sameProtocol === false)
      .map(({ from, to, benchmark }) => {
        return `${to} and ${from} were asked or graded in different ways on ${benchmark}: see "protocols" in summary.json.`;
      }),
  ];
}

/** How many of a benchmark's problems training saw relatives of; null where there are none, or nobody counted. */
export function familyNote({ problemSets }: Pick<Summary, 'problemSets'>, benchmark: string): string | null {
  const found = problemSets.find(({ set }) => set === `evaluate.benchmarks.${benchmark}`);
  if (!found?.familiesInTraining) return null;
  return (
    `${integer(found.familiesInTraining)} of ${plural(found.problems, 'problem')} are of a family that training saw: the ` +
    'same numbers in Countdown, the same puzzle or question in other tasks.'
  );
}

const plural = (count: number, what: string) => `${integer(count)} ${what}${count === 1 ? '' : 's'}`;
