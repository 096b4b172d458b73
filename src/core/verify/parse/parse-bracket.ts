import { ParseError } from '../limits.ts';
import type { Bracket, Value } from '../values.ts';
import { enclosed, type Range, splitAt, type Tokens } from './brackets.ts';
import { single } from './parse-part.ts';
import type { Token } from './tokenize.ts';

type Parse = (range: Range) => Value;

/** Sets, tuples and intervals, and superfluous brackets; null for what is a scalar in brackets. */
export function parseBracket(tokens: Tokens, range: Range, parse: Parse, depth: number): Value | null {
  const bracket = enclosed(tokens, range);
  if (bracket === null) return null;
  const { open, close, inner } = bracket;
  const isSet = open === '\\{';
  if (inner.from >= inner.to) return isSet ? { kind: 'named', name: 'empty' } : null;
  if (isSet) {
    const { parts } = splitAt(
      tokens,
      inner,
      (token) => token.type === 'bar' || (token.type === 'operator' && token.value === ':'),
    );
    if (parts.length > 1) return builder(parts, parse);
    const content = parse(inner);
    return { kind: 'set', items: content.kind === 'list' ? content.items : [content] };
  }
  if (!'([{⟨'.includes(open)) return null;
  const { parts } = splitAt(
    tokens,
    inner,
    (token) => token.type === 'separator' && (token.value === ',' || token.value === ';'),
  );
  if (parts.length === 1) {
    const matrix = open === '[' && tokens.list[inner.from]?.type === 'begin';
    if (open === '{' || matrix || (open === '(' && close === ')')) return nestedBracket(tokens, inner, parse, depth);
    return null;
  }
  const column = open === '[' ? columnOf(tokens, parts, parse) : null;
  if (column !== null) return column;
  const items = parts.map((part) => parse(part));
  if (open === '{') return { kind: 'set', items };
  return { kind: 'tuple', open: open as Bracket, close: close as Bracket, items };
}

/** `[[1], [2]]`: a matrix of one column; null when a row has no brackets, or more than one entry. */
function columnOf(tokens: Tokens, parts: readonly Range[], parse: Parse): Value | null {
  const rows = parts.map((part) => enclosed(tokens, part));
  if (rows.some((row) => row?.open !== '[' || row.close !== ']' || row.inner.from >= row.inner.to)) return null;
  const entries = rows.map(
    (row) => splitAt(tokens, (row as { inner: Range }).inner, ({ value }) => value === ',').parts,
  );
  if (entries.some((row) => row.length > 1)) return null;
  return { kind: 'matrix', determinant: false, rows: entries.map((row) => row.map(parse)) };
}

/** `\{x \mid x > 2\}` */
function builder(parts: readonly Range[], parse: Parse): Value {
  const [element, condition] = parts;
  if (element === undefined || condition === undefined || parts.length > 2)
    throw new ParseError('a set has two conditions');
  return {
    kind: 'builder',
    element: parse(element),
    condition: parse(condition),
  };
}

/** `((1,2))`, `({3})`, `(\text{C})`: superfluous brackets around something that is not a scalar; null otherwise. */
function nestedBracket(tokens: Tokens, inner: Range, parse: Parse, depth: number): Value | null {
  const token = tokens.list[inner.from] as Token;
  if (inner.to - inner.from === 1 && token.type === 'text') return single(token, depth);
  if (inner.to - inner.from === 1 && token.type === 'name' && /^[A-J]$/.test(token.value) && depth === 0) {
    return { kind: 'choice', letter: token.value, rest: null };
  }
  const { parts } = splitAt(tokens, inner, ({ type }) => type === 'set' || type === 'relation');
  if (parts.length === 1 && enclosed(tokens, inner) === null && token.type !== 'begin') return null;
  return parse(inner);
}
