import { LimitError, MAX_DEPTH, ParseError } from '../limits.ts';
import type { Token } from './tokenize.ts';

/** Tokens with, for every opening bracket, the index of its closing one. */
export interface Tokens {
  list: readonly Token[];
  closing: ReadonlyMap<number, number>;
}

const ROUND = new Set(['(', ')', '[', ']']);
const PARTNER: Readonly<Record<string, string>> = {
  '{': '}',
  '\\{': '\\}',
  '⟨': '⟩',
  '⌊': '⌋',
  '⌈': '⌉',
  lbar: 'rbar',
};

/**
 * Pairs the brackets; `(` may close with `]`, as in half-open intervals.
 * @throws ParseError where they do not match or are too deep
 */
export function matchBrackets(written: readonly Token[]): Tokens {
  const list = withoutReversed(written);
  const closing = new Map<number, number>();
  const open: number[] = [];
  for (const [index, token] of list.entries()) {
    if (token.type === 'open' || token.type === 'begin') {
      if (open.length >= MAX_DEPTH) throw new LimitError(`brackets are nested deeper than ${MAX_DEPTH}`);
      open.push(index);
    } else if (token.type === 'close' || token.type === 'end') {
      const from = open.pop();
      const opener = from === undefined ? undefined : list[from];
      if (from === undefined || opener === undefined || !fits(opener, token))
        throw new ParseError('brackets do not match');
      closing.set(from, index);
    }
  }
  if (open.length > 0) throw new ParseError('a bracket is not closed');
  return { list, closing };
}

/** `]0, 1[` is how some write (0, 1): an end that looks away from the interval does not belong to it. */
function withoutReversed(list: readonly Token[]): readonly Token[] {
  if (!list.some(({ value }) => value === ']' || value === '[')) return list;
  let depth = 0;
  return list.map((token, index) => {
    const before = list[index - 1];
    const after = list[index + 1];
    const starts = before === undefined || before.type === 'set' || before.type === 'relation';
    const ends = after === undefined || after.type === 'set';
    if (token.value === ']' && token.type === 'close' && depth === 0 && starts) {
      depth += 1;
      return { ...token, type: 'open', value: '(' };
    }
    if (token.value === '[' && token.type === 'open' && depth > 0 && ends) {
      depth -= 1;
      return { ...token, type: 'close', value: ')' };
    }
    if (token.type === 'open') depth += 1;
    if (token.type === 'close') depth -= 1;
    return token;
  });
}

function fits(opener: Token, closer: Token): boolean {
  if (opener.type === 'begin') return closer.type === 'end' && closer.value === opener.value;
  if (closer.type === 'end') return false;
  return ROUND.has(opener.value) ? ROUND.has(closer.value) : PARTNER[opener.value] === closer.value;
}

/** A half-open range of token indices. */
export interface Range {
  from: number;
  to: number;
}

/** Splits a range at the tokens outside all brackets for which `separates` holds. */
export function splitAt(
  tokens: Tokens,
  range: Range,
  separates: (token: Token, index: number) => boolean,
): { parts: Range[]; separators: Token[] } {
  const parts: Range[] = [];
  const separators: Token[] = [];
  let from = range.from;
  for (let index = range.from; index < range.to; index++) {
    const token = tokens.list[index] as Token;
    const close = tokens.closing.get(index);
    if (close !== undefined) index = close;
    else if (separates(token, index)) {
      parts.push({ from, to: index });
      separators.push(token);
      from = index + 1;
    }
  }
  parts.push({ from, to: range.to });
  return { parts, separators };
}

/** The range inside the brackets when they enclose all of it, and the brackets. */
export function enclosed(tokens: Tokens, range: Range): { open: string; close: string; inner: Range } | null {
  if (range.to - range.from < 2 || tokens.closing.get(range.from) !== range.to - 1) return null;
  const open = tokens.list[range.from] as Token;
  const close = tokens.list[range.to - 1] as Token;
  return { open: open.value, close: close.value, inner: { from: range.from + 1, to: range.to - 1 } };
}
