import type { TokenType } from './tokenize.ts';
import * as words from './vocabulary.ts';

/** What a command or a word is in the token list. */
type Kind = [type: TokenType, value: string];

/** Commands with a token of their own; most others are in the tables of the vocabulary. */
const TOKENS: Readonly<Record<string, Kind>> = {
  pi: ['constant', 'pi'],
  infty: ['constant', 'infinity'],
  infin: ['constant', 'infinity'],
  emptyset: ['name', 'set empty'],
  varnothing: ['name', 'set empty'],
  frac: ['command', 'frac'],
  dfrac: ['command', 'frac'],
  tfrac: ['command', 'frac'],
  cfrac: ['command', 'frac'],
  nicefrac: ['command', 'frac'],
  sfrac: ['command', 'frac'],
  binom: ['command', 'binom'],
  dbinom: ['command', 'binom'],
  tbinom: ['command', 'binom'],
  sqrt: ['command', 'sqrt'],
  surd: ['function', 'sqrt'],
  cuberoot: ['function', 'cuberoot'],
  lg: ['function', 'log'],
  ldots: ['dots', '...'],
  dots: ['dots', '...'],
  cdots: ['dots', '...'],
  dotsc: ['dots', '...'],
  dotsb: ['dots', '...'],
  angle: ['command', 'figure'],
  measuredangle: ['command', 'figure'],
  triangle: ['command', 'figure'],
  odot: ['command', 'figure'],
  square: ['command', 'figure'],
  // Not worked out, but a quantity may be named by them: \lim_{x\to0} f(x) = 3
  ...Object.fromEntries(
    ['lim', 'int', 'sum', 'prod', 'to', 'det', 'deg', 'dim'].map((name): [string, Kind] => [name, ['command', name]]),
  ),
  Pr: ['name', 'Pr'],
  imath: ['constant', 'i'],
  cr: ['row', '\\\\'],
  mid: ['bar', 'mid'],
  vert: ['bar', '|'],
  colon: ['operator', ':'],
  lor: ['separator', 'or'],
  vee: ['separator', 'or'],
  land: ['separator', 'and'],
  wedge: ['separator', 'and'],
  euro: ['money', 'euro'],
  pounds: ['money', 'pounds'],
};

/** The number sets by the macros that many define for them. */
const NUMBER_SETS = new Set(['R', 'Z', 'N', 'Q', 'C']);

/** The token of a LaTeX command without arguments; null for an unknown one. */
export function commandToken(name: string): Kind | null {
  const own = Object.hasOwn(TOKENS, name) ? TOKENS[name] : undefined;
  if (own !== undefined) return own;
  if (NUMBER_SETS.has(name)) return ['name', `set ${name}`];
  if (words.GREEK_LETTERS.has(name)) return ['name', name.replace(/^var/, '')];
  if (words.FUNCTIONS.has(name)) return ['function', name];
  const tables: readonly [TokenType, Readonly<Record<string, string>>][] = [
    ['operator', words.OPERATORS],
    ['relation', words.RELATIONS],
    ['set', words.SETS],
  ];
  for (const [type, table] of tables) {
    const value = Object.hasOwn(table, name) ? table[name] : undefined;
    if (value !== undefined) return [type, value];
  }
  const delimiter = Object.hasOwn(words.DELIMITERS, name) ? words.DELIMITERS[name] : undefined;
  return delimiter === undefined ? null : delimiterToken(delimiter);
}

export function delimiterToken(value: string): Kind {
  return [['⟨', '⌊', '⌈', '\\{', '[', '(', 'lbar'].includes(value) ? 'open' : 'close', value];
}

/** The token of a run of letters. Words are sorted out by the parser: a product of letters, a unit, or a text. */
export function wordToken(word: string): Kind {
  if (word.length === 1) return word === 'e' || word === 'i' ? ['constant', word] : ['name', word];
  const lower = word.toLowerCase();
  if (lower === 'pi') return ['constant', 'pi'];
  if (word === 'inf' || word === 'oo' || lower === 'infty' || lower === 'infinity') return ['constant', 'infinity'];
  if (words.FUNCTIONS.has(word)) return ['function', word];
  if (word === 'cbrt') return ['function', 'cuberoot'];
  return lower === 'or' || lower === 'and' ? ['separator', lower] : ['word', word];
}
