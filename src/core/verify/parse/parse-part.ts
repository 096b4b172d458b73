import { LimitError, ParseError } from '../limits.ts';
import { fraction } from '../numbers/fraction.ts';
import { scalar, type Value } from '../values.ts';
import { type Range, splitAt, type Tokens } from './brackets.ts';
import { parseWhole, TEXT_DEPTH } from './parse-answer.ts';
import { parseBased } from './parse-based.ts';
import { parseBracket } from './parse-bracket.ts';
import { parseExpression } from './parse-expression.ts';
import { parseMatrix } from './parse-matrix.ts';
import { parseQuantity } from './parse-quantity.ts';
import { parseChain } from './parse-relation.ts';
import { choiceLetter, foldText, numberWord } from './text.ts';
import type { Token } from './tokenize.ts';
import { unwrap } from './unwrap.ts';
import { SHORT_WORDS } from './vocabulary.ts';

/** Nesting of tuples, sets, lists and texts. */
export const MAX_PART_DEPTH = 50;

const SEPARATORS = new Set([',', ';', 'or', 'and']);

export function parsePart(tokens: Tokens, range: Range, depth: number): Value {
  if (depth > MAX_PART_DEPTH) throw new LimitError('it is nested too deep');
  if (range.from >= range.to) throw new ParseError('a part is empty');
  const choice = leadingChoice(tokens, range, depth);
  if (choice !== null) return choice;
  const list = parseList(tokens, range, depth);
  if (list !== null) return list;
  const inside = (inner: Range): Value => parsePart(tokens, inner, depth + 1);
  const chain = parseChain(tokens, range, inside);
  if (chain !== null) return chain;
  const union = parseUnion(tokens, range, depth);
  if (union !== null) return union;
  const based = parseBased(tokens, range);
  if (based !== null) return based;
  const bracket = parseBracket(tokens, range, inside, depth);
  if (bracket !== null) return bracket;
  const matrix = parseMatrix(tokens, range, inside);
  if (matrix !== null) return matrix;
  const ratio = parseRatio(tokens, range);
  if (ratio !== null) return ratio;
  const only = range.to - range.from === 1 ? (tokens.list[range.from] as Token) : null;
  if (only?.type === 'name' && only.value.startsWith('set ')) return { kind: 'named', name: only.value.slice(4) };
  if (only !== null && (only.type === 'text' || only.type === 'word')) return single(only, depth);
  return parseQuantity(tokens, range);
}

/** One text or one word. */
export function single(token: Token, depth: number): Value {
  const letter = token.type === 'text' ? choiceLetter(token.value) : null;
  if (letter !== null) return { kind: 'choice', letter, rest: null };
  const folded = foldText(token.value);
  const amount = numberWord(folded.folded);
  if (amount !== null) return scalar({ kind: 'number', value: fraction(amount) });
  if (token.type === 'text') {
    try {
      const inner = parseWhole(unwrap(token.value.replace(/\$/g, ' ')), depth + TEXT_DEPTH);
      if (inner.kind !== 'scalar' || !looksLikeWord(token.value)) return inner;
    } catch (error) {
      if (!(error instanceof ParseError)) throw error;
    }
    return folded;
  }
  if (!looksLikeWord(token.value)) return parseQuantityOfWord(token);
  return folded;
}

function looksLikeWord(text: string): boolean {
  const trimmed = text.trim();
  return (
    /^[\p{L}][\p{L}\s'-]+$/u.test(trimmed) &&
    (trimmed.length > 3 || SHORT_WORDS.has(trimmed.toLowerCase()) || !/^[A-Za-z]{2,3}$/.test(trimmed))
  );
}

function parseQuantityOfWord(token: Token): Value {
  const tokens: Tokens = { list: [token], closing: new Map() };
  return scalar(parseExpression(tokens, { from: 0, to: 1 }));
}

/** `\textbf{(C)} 12`: the letter of a choice and what it stands for. */
function leadingChoice(tokens: Tokens, range: Range, depth: number): Value | null {
  const first = tokens.list[range.from] as Token;
  if (depth > 0 || range.to - range.from < 2) return null;
  if (first.type === 'text' && /^\s*\(?[A-J]\s*[).:]\s*$/.test(first.value)) {
    const rest = { from: range.from + 1, to: range.to };
    return { kind: 'choice', letter: choiceLetter(first.value) ?? '', rest: parsePart(tokens, rest, depth + 1) };
  }
  return null;
}

function parseList(tokens: Tokens, range: Range, depth: number): Value | null {
  const { parts, separators } = splitAt(
    tokens,
    range,
    (token) => token.type === 'separator' && SEPARATORS.has(token.value),
  );
  if (parts.length === 1) return null;
  const items: Value[] = [];
  let joined: 'or' | 'and' | null = null;
  for (const [index, part] of parts.entries()) {
    const word = separators[index - 1]?.value;
    if (word === 'or' || word === 'and') {
      if (joined !== null && joined !== word) throw new ParseError('"and" and "or" are mixed');
      joined = word;
    }
    // "3, 5, and 7": between the comma and the word there is nothing.
    const next = separators[index]?.value;
    if (part.from >= part.to && word === ',' && (next === 'and' || next === 'or')) continue;
    items.push(parsePart(tokens, part, depth + 1));
  }
  return { kind: 'list', items, joined };
}

function parseUnion(tokens: Tokens, range: Range, depth: number): Value | null {
  const isUnion = (token: Token, index: number): boolean => {
    if (token.type === 'set' || isDifference(tokens, index)) return true;
    const before = tokens.list[index - 1];
    const after = tokens.list[index + 1];
    return token.type === 'name' && token.value === 'U' && before?.type === 'close' && after?.type === 'open';
  };
  const { parts, separators } = splitAt(tokens, range, isUnion);
  if (parts.length === 1) return null;
  const values = parts.map((part) => parsePart(tokens, part, depth + 1));
  const removed: Value[] = [];
  const kept: Value[] = [values[0] as Value];
  for (const [index, token] of separators.entries()) {
    const value = values[index + 1] as Value;
    if (token.value === 'intersection') throw new ParseError('an intersection is not worked out');
    if (token.value === 'minus' || token.type === 'operator') removed.push(value);
    else if (removed.length > 0) throw new ParseError('a union after a difference needs brackets');
    else kept.push(value);
  }
  return { kind: 'union', parts: kept, removed };
}

/** `\mathbb R - \{1\}`, `\mathbb R / \{1\}` */
function isDifference(tokens: Tokens, index: number): boolean {
  const [before, token, after] = [tokens.list[index - 1], tokens.list[index], tokens.list[index + 1]];
  if (token?.type !== 'operator' || (token.value !== '-' && token.value !== '/') || after?.value !== '\\{')
    return false;
  return before?.value.startsWith('set ') === true || before?.type === 'close';
}

/** `3:4`, `3 to 4`, `1:2:3`; `12:05` is a time as well. */
function parseRatio(tokens: Tokens, range: Range): Value | null {
  const { parts } = splitAt(tokens, range, ({ type, value }) =>
    type === 'operator' ? value === ':' : (type === 'text' || type === 'word') && value.trim() === 'to',
  );
  if (parts.length === 1 || parts.some(({ from, to }) => from >= to)) return null;
  const expressions = parts.map((part) => parseExpression(tokens, part));
  const raw = tokens.list
    .slice(range.from, range.to)
    .map(({ value }) => value)
    .join('');
  return { kind: 'ratio', parts: expressions, clock: /^\d{1,2}:[0-5]\d(:[0-5]\d)?$/.test(raw) };
}
