import type { Expression } from '../expression.ts';
import { ParseError } from '../limits.ts';
import type { Value } from '../values.ts';
import { type Range, splitAt, type Tokens } from './brackets.ts';
import { parseExpression } from './parse-expression.ts';
import type { Token } from './tokenize.ts';

const MATRICES = new Set([
  'matrix',
  'pmatrix',
  'bmatrix',
  'Bmatrix',
  'vmatrix',
  'Vmatrix',
  'smallmatrix',
  'array',
  'psmallmatrix',
  'bsmallmatrix',
]);

/** `\begin{pmatrix} … \end{pmatrix}`, also with a scalar in front or brackets around; null without a matrix. */
export function parseMatrix(tokens: Tokens, range: Range, parse: (range: Range) => Value): Value | null {
  const at = indexOfMatrix(tokens, range);
  if (at === null) return null;
  const begin = tokens.list[at] as Token;
  const end = tokens.closing.get(at) as number;
  if (!MATRICES.has(begin.value)) throw new ParseError(`it has the environment "${begin.value.slice(0, 30)}"`);
  if (end + 1 !== range.to) throw new ParseError('something follows a matrix');
  const rows = rowsOf(tokens, { from: at + 1, to: end }).map((row) => row.map(parse));
  const width = rows[0]?.length ?? 0;
  if (width === 0 || rows.some((row) => row.length !== width))
    throw new ParseError('the rows of a matrix differ in length');
  const before: Range = { from: range.from, to: at };
  const scaled = before.from < before.to ? scale(rows, factorBefore(tokens, before)) : rows;
  return { kind: 'matrix', determinant: begin.value.toLowerCase() === 'vmatrix', rows: scaled };
}

function indexOfMatrix(tokens: Tokens, range: Range): number | null {
  for (let index = range.from; index < range.to; index++) {
    if (tokens.list[index]?.type === 'begin') return index;
    const close = tokens.closing.get(index);
    if (close !== undefined) index = close;
  }
  return null;
}

function rowsOf(tokens: Tokens, inner: Range): Range[][] {
  const { parts } = splitAt(tokens, inner, ({ type }) => type === 'row');
  const rows = parts.filter((part, index) => part.from < part.to || index < parts.length - 1);
  return rows.map((row) => splitAt(tokens, row, ({ type }) => type === 'cell').parts);
}

function factorBefore(tokens: Tokens, range: Range): Expression {
  const last = tokens.list[range.to - 1];
  const to = last?.type === 'operator' && last.value === '*' ? range.to - 1 : range.to;
  const only = tokens.list[range.from];
  if (to - range.from === 1 && only?.type === 'operator' && only.value === '-') {
    return { kind: 'negation', of: { kind: 'number', value: { n: 1n, d: 1n } } };
  }
  const factor = parseExpression(tokens, { from: range.from, to });
  if (factor.kind === 'sum' || factor.kind === 'variable') throw new ParseError('a matrix stands in a formula');
  return factor;
}

function scale(rows: Value[][], factor: Expression): Value[][] {
  return rows.map((row) =>
    row.map((cell): Value => {
      if (cell.kind !== 'scalar') throw new ParseError('a matrix of other things than numbers is multiplied');
      return { ...cell, expression: { kind: 'product', factors: [factor, cell.expression] } };
    }),
  );
}
