import { decimalLiteral, restates } from '../compare/rounding.ts';
import { variablesOf } from '../expression.ts';
import { AmbiguousError, LimitError, ParseError } from '../limits.ts';
import type { Relation, Value } from '../values.ts';
import { type Range, splitAt, type Tokens } from './brackets.ts';
import { NOT_WORKED_OUT } from './parse-function.ts';
import { foldText } from './text.ts';

type Parse = (range: Range) => Value;

/** Every relation of a chain is compared at several points. */
const MAX_PARTS = 40;

/** `a < b = c` and so on; null without a relation. */
export function parseChain(tokens: Tokens, range: Range, parse: Parse): Value | null {
  const { parts, separators } = splitAt(tokens, range, (token) => token.type === 'relation');
  if (parts.length === 1) return null;
  if (parts.length > MAX_PARTS) throw new LimitError('it has too many relations');
  const approximate = separators.findIndex(({ value }) => value === '≈');
  if (approximate >= 0) return approximated(range, parts[approximate] as Range, parts[approximate + 1] as Range, parse);
  const relations: Relation[] = [];
  const sides: Range[] = [];
  for (const [index, part] of parts.entries()) {
    const empty = part.from >= part.to;
    const sign = separators[index]?.value;
    // `\not=` and `\not\in` are two tokens.
    if (sign === 'not' || (empty && separators[index - 1]?.value === 'not')) {
      if (sign === 'not') {
        const after = parts[index + 1];
        if (separators[index + 1]?.value !== '=' || after === undefined || after.from < after.to) {
          throw new ParseError('a relation is negated');
        }
        sides.push(part);
        relations.push('!=');
      }
      continue;
    }
    sides.push(part);
    if (sign !== undefined) relations.push(sign as Relation);
  }
  const named = relations[0] === '=' || relations[0] === 'in';
  const values = sides.map((part, index) => side(tokens, part, parse, index === 0 && named));
  if (values.some(({ kind }) => kind === 'chain')) throw new ParseError('a relation stands inside a relation');
  return { kind: 'chain', parts: values, relations };
}

/** √2 ≈ 1.414: an exact answer, and how large it is. x ≈ 1.414: only that. */
function approximated(range: Range, before: Range, after: Range, parse: Parse): Value {
  const exact = parse({ from: range.from, to: before.to });
  const member = exact.kind === 'chain' ? (exact.parts.at(-1) as Value) : exact;
  if (member.kind !== 'scalar') return exact;
  const again = parse(after);
  if (exact.kind === 'scalar' && exact.expression.kind === 'variable' && again.kind === 'scalar') {
    if (decimalLiteral(again.expression) === null) throw new AmbiguousError('it is only about that number');
    return { kind: 'chain', parts: [exact, again], relations: ['='] };
  }
  const literal = again.kind === 'scalar' && again.expression.kind === 'number';
  if (literal && variablesOf(member.expression).length === 0 && !restates(member, again, true)) {
    throw new AmbiguousError('it is not rounded to the approximation given');
  }
  return exact;
}

/** One side of a relation; the left one may be a phrase that names the quantity. */
function side(tokens: Tokens, range: Range, parse: Parse, first: boolean): Value {
  const applied = first ? functionName(tokens, range) : null;
  if (applied !== null) return applied;
  try {
    return parse(range);
  } catch (error) {
    if (!(error instanceof ParseError) || !first) throw error;
    const name = nameOf(tokens, range);
    if (name === null) throw error;
    return name;
  }
}

/** In their brackets an event stands: P(A \cap B), E(X = 2). */
const PROBABILITIES = new Set(['P', 'Pr', 'E', 'n', 'set P', 'set E']);

/** `f(x)`, `P(5)`, `f^{-1}(x)`, `a(m, n)` as the name of a value: the letter is no factor there. */
function functionName(tokens: Tokens, range: Range): Value | null {
  const [name, second] = [tokens.list[range.from], tokens.list[range.from + 1]];
  if (name?.type !== 'name' || 'xyz'.includes(name.value) || second === undefined) return null;
  let at = range.from + 1;
  while (tokens.list[at]?.value === "'") at += 1;
  if (second.value === '^' && tokens.list[at + 1]?.value === '{') at = (tokens.closing.get(at + 1) ?? at) + 1;
  const close = tokens.closing.get(at);
  if (tokens.list[at]?.value !== '(' || close !== range.to - 1) return null;
  const { parts } = splitAt(tokens, { from: at + 1, to: close }, ({ value }) => value === ',');
  if (!PROBABILITIES.has(name.value) && parts.some((part) => part.to - part.from !== 1)) return null;
  const written = tokens.list.slice(range.from, range.to).map(({ value }) => (value === "'" ? 'prime' : value));
  return foldText(written.join(' ').replace(/\^ (?:\{ )?((?:prime )+)(?:\} )?/, '$1'));
}

/** `\text{Area}`, `f(2)`, `AB`, `\angle ABC`, `m\angle A`: names of a quantity that are not formulas;
 * also `\lim_{x\to0} f(x)`. */
function nameOf(tokens: Tokens, range: Range): Value | null {
  const parts = tokens.list.slice(range.from, range.to);
  const worked = parts.some(({ type, value }) => type === 'command' && NOT_WORKED_OUT.has(value));
  if (parts.length === 0 || parts.length > (worked ? 60 : 24)) return null;
  if (worked) return foldText(parts.map(({ value }) => value).join(' '));
  if (
    parts.some(
      ({ type }) => !['text', 'word', 'name', 'command', 'constant', 'open', 'close', 'separator'].includes(type),
    )
  )
    return null;
  if (parts.some(({ type, value }) => type === 'command' && value !== 'figure')) return null;
  if (!parts.some(({ type, value }) => type === 'text' || type === 'word' || value === 'figure')) return null;
  return foldText(parts.map(({ value }) => value).join(' '));
}
