import { ParseError } from '../limits.ts';
import { fraction } from '../numbers/fraction.ts';
import { scalar, type Value } from '../values.ts';
import { enclosed, type Range, type Tokens } from './brackets.ts';

const BASED =
  /^\(?([0-9][0-9A-Za-z]*|[A-Fa-f][0-9A-Fa-f]*)\)?_\s*\{?\s*(?:\\text\s*\{)?\s*([0-9]{1,2}|[a-z]+)\s*\}{0,2}$/;
const BASE_WORDS = 'two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen'.split(
  ' ',
);

/** `52_8`, `A3_{16}`, `(1011)_2`, `52_{\text{eight}}` as a whole text; null for anything else. */
export function parseBasedText(text: string): Value | null {
  if (!text.includes('_')) return null;
  const compact = text.replace(/\\[,!;: ]|[\s,]/g, '').replace(/^(?:\\(?:text|mathrm))?\{(\w+)\}_/, '$1_');
  const based = BASED.exec(compact);
  if (based === null || !(/\d/.test(`${based[2]}`) || BASE_WORDS.includes(`${based[2]}`))) return null;
  return basedNumber(based[1] as string, based[2] as string);
}

const INDEX = /^([0-9][0-9A-Za-z]*)(?:_\{?\(?(?:base)?|\(?base)(\d{1,2}|[a-z]+)\)?\}?$/;
/** Digits, sign, braces, brackets, and the index. */
const MAX_TOKENS = 16;

/** The same inside an answer, as in `x = 52_8`; also `52_{(8)}`, `52_{\text{base }8}`, `52 (base 8)`. */
export function parseBased(tokens: Tokens, range: Range): Value | null {
  const bracket = enclosed(tokens, range);
  if (bracket?.open === '{') return parseBased(tokens, bracket.inner);
  const first = tokens.list[range.from];
  if (first?.type !== 'number' || range.to - range.from < 2 || range.to - range.from > MAX_TOKENS) return null;
  const written = tokens.list
    .slice(range.from, range.to)
    .map(({ value, type }) => (type === 'number' ? value.replace(/\\[,!;: ]|[\s,{}]/g, '') : value))
    .join('');
  const based = INDEX.exec(written.replace(/\s/g, ''));
  if (based === null || !(/\d/.test(`${based[2]}`) || BASE_WORDS.includes(`${based[2]}`))) return null;
  return basedNumber(based[1] as string, based[2] as string);
}

function basedNumber(digits: string, index: string): Value {
  const base = /^\d/.test(index) ? Number(index) : BASE_WORDS.indexOf(index) + 2;
  if (base < 2 || base > 36) throw new ParseError(`"${index}" is not a base`);
  let value = 0n;
  for (const digit of digits) {
    const amount = Number.parseInt(digit, 36);
    if (amount >= base) {
      // x_1, a_{10}: a name with an index.
      if (/^[A-Za-z]$/.test(digits)) return scalar({ kind: 'variable', name: `${digits}_${index}` });
      throw new ParseError(`"${digit}" is not a digit in base ${base}`);
    }
    if (digits.length > 1_000) throw new ParseError('a number is too long');
    value = value * BigInt(base) + BigInt(amount);
  }
  if (base === 10) return scalar({ kind: 'number', value: fraction(value) });
  return { kind: 'based', digits: digits.replace(/^0+(?=.)/, '').toUpperCase(), base, value };
}
