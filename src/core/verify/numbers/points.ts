import type { Assignment } from './exact.ts';
import { type Fraction, fraction } from './fraction.ts';

/** Numerators over this denominator: fine enough that no formula of a textbook vanishes there by chance. */
const DENOMINATOR = 1_021n;

/** How the variables of one point are drawn: all in one range (in thousandths), or signs mixed by name. */
interface Style {
  low: number;
  high: number;
  sign: 'positive' | 'negative' | 'mixed';
}

const small: Style = { low: 0, high: 1, sign: 'positive' };
const medium: Style = { low: 1, high: 6, sign: 'positive' };
const mixed: Style = { low: 0, high: 4, sign: 'mixed' };

/** Both signs, inside and outside (-1, 1): roots, logarithms and inverse functions each keep at least three. */
const FIRST: readonly Style[] = [
  small,
  medium,
  { ...medium, sign: 'negative' },
  mixed,
  { ...small, sign: 'negative' },
  medium,
  small,
  mixed,
  { ...medium, sign: 'negative' },
  mixed,
  medium,
  small,
];

/** For formulas that have no value at enough of the first points. */
const FURTHER: readonly Style[] = [
  { low: 0, high: 0.05, sign: 'positive' },
  { low: 6, high: 60, sign: 'positive' },
  { low: 6, high: 60, sign: 'negative' },
  { low: 60, high: 900, sign: 'positive' },
  { low: 60, high: 900, sign: 'negative' },
  { low: 6, high: 60, sign: 'mixed' },
  { low: 900, high: 9_000, sign: 'positive' },
];

/** Rounds of whole-number points, for factorials, binomials and powers of negative numbers. */
const WHOLE_ROUNDS = 8;

/** Fixed points, the same for every check: a verdict must not depend on chance. */
export function firstPoints(names: readonly string[]): Assignment[] {
  return FIRST.map((style, index) => point(names, style, index));
}

export function furtherPoints(names: readonly string[]): Assignment[] {
  return FURTHER.map((style, index) => point(names, style, index + FIRST.length));
}

/** Positive whole numbers; in every other round the names in order get larger or smaller values. */
export function wholePoints(names: readonly string[]): Assignment[] {
  return Array.from({ length: WHOLE_ROUNDS }, (_, round) => {
    const values = names.map((name, index): [string, Fraction] => {
      const order = round % 2 === 0 ? index : names.length - 1 - index;
      return [name, fraction(BigInt(1 + order * 3 + (hash(name, 100 + round) % 4) + (round >> 1)))];
    });
    return new Map(values);
  });
}

function point(names: readonly string[], style: Style, index: number): Assignment {
  return new Map(names.map((name) => [name, coordinate(name, style, index)]));
}

function coordinate(name: string, style: Style, index: number): Fraction {
  const random = hash(name, index);
  const span = Math.max(1, Math.floor((style.high - style.low) * Number(DENOMINATOR)) - 2);
  const numerator = BigInt(Math.floor(style.low * Number(DENOMINATOR)) + 1 + (random % span));
  const negative = style.sign === 'negative' || (style.sign === 'mixed' && (random >>> 20) % 2 === 1);
  return fraction(negative ? -numerator : numerator, DENOMINATOR);
}

/** FNV-1a, then mixed once more: neighbouring names and indices must not give neighbouring values. */
function hash(name: string, index: number): number {
  let value = 0x811c9dc5 ^ index;
  for (let i = 0; i < name.length; i++) value = Math.imul(value ^ name.charCodeAt(i), 0x01000193);
  value = Math.imul(value ^ (value >>> 15), 0x2c1b3c6d);
  value = Math.imul(value ^ (value >>> 12), 0x297a2d39);
  return (value ^ (value >>> 15)) >>> 0;
}
