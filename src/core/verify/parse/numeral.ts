import type { Decimal } from '../expression.ts';
import { AmbiguousError, LimitError, MAX_BITS } from '../limits.ts';
import { add, divide, type Fraction, fraction, multiply, ONE } from '../numbers/fraction.ts';

/** A number as written: whole.decimals(repeating)·10^exponent, up to position `end` of its text. */
export interface Numeral {
  whole: string;
  decimals: string;
  repeating: string;
  exponent: number | null;
  /** Only plain digits with commas, which could also be a list: `100,200`. */
  commas: boolean;
  point: boolean;
  end: number;
}

const DIGITS = /\d*/y;
/** `{,}`, `\,`, `,\!` and a space group thousands wherever exactly three digits follow. */
const GROUP = /(?:\{,\}|\\[,;: ]|,\\!\s*|\\!,\s*|\\!)\s*(\d{3})(?!\d)/y;
const SPACE_GROUP = /[ ~](\d{3})(?![\d/.,])/y;
const COMMA_GROUP = /,(\d{3})(?!\d)/y;
const BAR = /\\(?:overline|bar|dot|overset)\s*\{?\s*(\d+)\s*\}?/y;
const BRACKETED = /\((\d+)\)/y;
const SCIENTIFIC = /[eE]([+-]?)(\d+)(?![\d.]*[A-Za-z^_({\\])/y;

/**
 * The number that begins at `from`. `inBrackets`: a comma separates there.
 * @throws AmbiguousError for `2e-3`, which is 0.002 to a computer and 2e - 3 to a mathematician, and for `(1,000, 2)`
 */
export function readNumeral(text: string, from: number, inBrackets: boolean): Numeral {
  let at = from;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found !== null) at = pattern.lastIndex;
    return found;
  };
  let whole = match(DIGITS)?.[0] ?? '';
  const numeral: Numeral = { whole, decimals: '', repeating: '', exponent: null, commas: false, point: false, end: at };
  if (whole.length >= 1 && whole.length <= 3 && !whole.startsWith('0')) {
    if (inBrackets && /^,0\d{2}(?!\d)/.test(text.slice(at, at + 5))) {
      throw new AmbiguousError('a comma in brackets may group thousands or separate');
    }
    let kind: RegExp | null = null;
    for (;;) {
      const patterns: RegExp[] = kind === null ? (inBrackets ? [GROUP] : [GROUP, COMMA_GROUP, SPACE_GROUP]) : [kind];
      let group: string | undefined;
      for (const pattern of patterns) {
        group = match(pattern)?.[1];
        if (group === undefined) continue;
        kind ??= pattern;
        break;
      }
      if (group === undefined) break;
      numeral.commas ||= kind === COMMA_GROUP;
      whole += group;
    }
    numeral.whole = whole;
  }
  if (text[at] === '.' && text[at + 1] !== '.') {
    at += 1;
    numeral.point = true;
    numeral.decimals = match(DIGITS)?.[0] ?? '';
    numeral.repeating = (match(BAR) ?? match(BRACKETED))?.[1] ?? '';
  }
  const scientific = match(SCIENTIFIC);
  if (scientific !== null) {
    const [, plusMinus = '', digits = ''] = scientific;
    const lower = text[at - digits.length - plusMinus.length - 1] === 'e';
    if (lower && plusMinus !== '' && digits.length < 2 && !numeral.point && numeral.whole !== '1') {
      throw new AmbiguousError('"e" may be the number e or a power of ten');
    }
    if (digits.length > 9) throw new LimitError('a power of ten is too large');
    numeral.exponent = Number(`${plusMinus}${digits}`);
  }
  numeral.end = at;
  return numeral;
}

/** The exact value, `skip` digits into the number. @throws LimitError for powers of ten beyond the size cap */
export function numeralValue(numeral: Numeral, skip = 0): Fraction {
  const whole = numeral.whole.slice(skip);
  const exponent = numeral.exponent ?? 0;
  if ((Math.abs(exponent) + numeral.decimals.length) * 3.33 > MAX_BITS)
    throw new LimitError('a power of ten is too large');
  let value = fraction(BigInt(`0${whole}${numeral.decimals}`), 10n ** BigInt(numeral.decimals.length));
  if (numeral.repeating !== '') {
    // 0.d1…dk(r) = … + r / (10^k (10^|r| - 1))
    const period = 10n ** BigInt(numeral.repeating.length) - 1n;
    value = add(value, fraction(BigInt(numeral.repeating), period * 10n ** BigInt(numeral.decimals.length)));
  }
  if (exponent === 0) return value;
  const scale = fraction(10n ** BigInt(Math.abs(exponent)));
  return exponent > 0 ? multiply(value, scale) : multiply(value, divide(ONE, scale));
}

/** How precisely it was written; null for a whole number and for an exact repeating decimal. */
export function decimalOf(numeral: Numeral): Decimal | null {
  if (numeral.repeating !== '' || (numeral.decimals === '' && numeral.exponent === null)) return null;
  const digits = (numeral.whole + numeral.decimals).replace(/^0+/, '');
  return { places: numeral.decimals.length - (numeral.exponent ?? 0), significant: digits.length };
}
