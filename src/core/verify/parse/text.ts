import type { Text } from '../values.ts';

/** Folds case, spaces and punctuation; signs that carry meaning between letters and digits stay. */
export function foldText(text: string): Text {
  const plain = text
    .replace(/\\(?:text|mbox|textbf|textit|textrm|mathrm|mathbf|operatorname)\s*\{/g, '{')
    .replace(/\\[,;:! ]|~|\\q?quad/g, ' ')
    .replace(/[{}$"`]/g, '')
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/['’]/g, '')
    .replace(/(\d)[.,](?=\d)/g, '$1·');
  const words = (plain.match(/[\p{L}\d·]+|[-+*/^=<>\\%](?=\s*[\p{L}\d(])/gu) ?? []).filter(
    (word, index, all) => word !== '-' || /^\d/.test(all[index + 1] ?? ''),
  );
  return { kind: 'text', folded: words.join(''), words: words.join(' ') };
}

const NUMBERS = (
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen ' +
  'eighteen nineteen twenty'
).split(' ');

const TENS = 'twenty thirty forty fifty sixty seventy eighty ninety'.split(' ');

/** 0 to 99 written as a word, the hyphen folded away. */
export function numberWord(word: string): bigint | null {
  const index = NUMBERS.indexOf(word);
  if (index >= 0) return BigInt(index);
  const tens = TENS.findIndex((name) => word.startsWith(name));
  if (tens < 0) return null;
  const ones = NUMBERS.indexOf(word.slice(TENS[tens]?.length));
  if (word === TENS[tens]) return BigInt(10 * tens + 20);
  return ones > 0 && ones < 10 ? BigInt(10 * tens + 20 + ones) : null;
}

/** With room for markup around it. */
const LONGEST_CHOICE = 200;

/** `(C)`, `C.`, `Option C` as the answer to a multiple choice. Null for anything else. */
export function choiceLetter(text: string): string | null {
  if (text.length > LONGEST_CHOICE) return null;
  const match = /^(?:option|choice|answer)?\s*\(?\s*([A-J])\s*[).:]?$/i.exec(
    text.replace(/[{}$~]|\\[,;: ]/g, ' ').trim(),
  );
  return match === null ? null : (match[1] as string).toUpperCase();
}
