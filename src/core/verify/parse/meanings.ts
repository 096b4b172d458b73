import type { Text, Value } from '../values.ts';
import { parseUnit } from './units.ts';

/** Phrases that mean a value; a phrase with anything more in it, as "all real numbers except 0", is none of them. */
const PHRASES: readonly (readonly [meaning: string, phrases: readonly string[]])[] = [
  [
    'set empty',
    [
      ...['no solution', 'no solutions', 'there is no solution', 'there are no solutions', 'has no solution'],
      ...['empty set', 'the empty set', 'null set'],
    ],
  ],
  [
    'set R',
    [
      ...['all real numbers', 'all reals', 'all real', 'any real number', 'every real number', 'the real numbers'],
      ...['the set of all real numbers', 'set of all real numbers', 'the set of real numbers', 'all real values'],
    ],
  ],
  ['does not exist', ['dne', 'does not exist', 'doesnt exist', 'it does not exist', 'limit does not exist']],
];

const MEANINGS: ReadonlyMap<string, string> = new Map(
  PHRASES.flatMap(([meaning, phrases]) => phrases.map((phrase) => [phrase, meaning] as const)),
);

/** The set that a text means: `no solution`, `all real numbers`. Null for other texts. */
export function setMeant(text: Text): Value | null {
  const meaning = MEANINGS.get(text.words);
  return meaning?.startsWith('set ') === true ? { kind: 'named', name: meaning.slice(4) } : null;
}

/** Two phrases of one meaning, or the same words but for an article in front. */
export function meanTheSame(a: Text, b: Text): boolean {
  const [first, second] = [a, b].map(({ words }) => MEANINGS.get(words) ?? words.replace(/^(?:an?|the) (?=\S{2})/, ''));
  return first === second;
}

/** Units that are added: 5 feet 6 inches. */
const COMPOUNDS = [
  'yr month week day h min s',
  'mi yd ft in',
  'lb oz',
  'dollar cent',
  'km m cm mm',
  'kg g',
  'gal qt pt cup',
];
const COMPOUND = /^\d+ [a-z]+(?:(?: and)? \d+ [a-z]+){1,3}$/;

/** `2 hours 30 minutes`, `5 ft 6 in`, with or without "and": a text in units of one kind. Null for other texts. */
export function compoundMeasure({ words }: Text): Text | null {
  if (words.length > 80 || !COMPOUND.test(words)) return null;
  const parts = words.split(' ').filter((word) => word !== 'and');
  const units = parts.filter((_, index) => index % 2 === 1).map((word) => parseUnit(word)?.name ?? '?');
  const kind = COMPOUNDS.find((names) => units.every((unit) => names.split(' ').includes(unit)));
  if (kind === undefined || new Set(units).size < units.length) return null;
  const named = parts.map((word, index) =>
    index % 2 === 1 ? (units[(index - 1) / 2] as string) : word.replace(/^0+(?=\d)/, ''),
  );
  return { kind: 'text', folded: named.join(''), words: named.join(' ') };
}
