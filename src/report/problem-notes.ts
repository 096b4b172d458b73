import { integer } from './format.ts';
import type { Summary } from './summary-schema.ts';

/** What a reader of scores must know of the problems, a sentence each: what was left out, what was trained on. */
export function problemNotes({ dropped = [], overlap = [] }: Pick<Summary, 'dropped' | 'overlap'>): string[] {
  return [
    ...dropped.map(({ set, count, list }) => {
      const their = count === 1 ? 'its answer' : 'their answers';
      return `${problems(count)} of ${nameOf(set)} left out: ${their} cannot be checked, see ${list}.`;
    }),
    ...overlap.map(({ set, count, exact, leftOut, list }) => {
      const stand = leftOut ? 'stood' : count === 1 ? 'stands' : 'stand';
      const end = leftOut ? ' and were taken out of it' : '';
      const kinds = `${integer(exact)} exactly, ${integer(count - exact)} by 13 words in a row`;
      return `${problems(count)} of ${nameOf(set)} also ${stand} in the training data (${kinds})${end}, see ${list}.`;
    }),
  ];
}

const problems = (count: number) => `${integer(count)} ${count === 1 ? 'problem' : 'problems'}`;

/** A benchmark's own name; other sets by their field. */
const nameOf = (set: string) => set.replace(/^evaluate\.benchmarks\./, '');
