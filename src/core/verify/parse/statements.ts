import type { Relation, Value } from '../values.ts';
import { different, type Options, unknown, type Verdict } from '../verdict.ts';
import { isConstant, isName, nameText } from './names.ts';

type Chain = Value & { kind: 'chain' };
type Compare = (gold: Value, prediction: Value, options: Options) => Verdict;

/** A name and its value. */
interface Statement {
  name: string;
  value: Value;
}

/** The values of several names, and whether they stood in one tuple. */
interface Statements {
  all: Statement[];
  tuple: boolean;
}

/**
 * Several names with their values, however they are put: `(x, y) = (1, 2)`, `x = 1, y = 2`, `x = 1 and y = 2`,
 * `(x = 1, y = 2)`. The names differ; null for everything else, as `x = 1 or y = 2`.
 */
export function statementsOf(value: Value): Statements | null {
  const all = value.kind === 'chain' ? ofTuples(value) : ofParts(value);
  if (all === null || all.length < 2 || new Set(all.map(({ name }) => name)).size < all.length) return null;
  return { all, tuple: value.kind === 'chain' };
}

function ofTuples({ parts, relations }: Chain): Statement[] | null {
  const [names, values] = parts;
  if (relations.length !== 1 || relations[0] !== '=' || names?.kind !== 'tuple' || values?.kind !== 'tuple')
    return null;
  if (names.items.length !== values.items.length || !isPlain(names) || !isPlain(values)) return null;
  return collect(names.items.map((name, index) => [name, values.items[index] as Value]));
}

function ofParts(value: Value): Statement[] | null {
  if (!(value.kind === 'list' && value.joined !== 'or') && !(value.kind === 'tuple' && isPlain(value))) return null;
  const pairs = value.items.map((item): [Value, Value] | null => {
    if (item.kind !== 'chain' || item.relations.length !== 1 || item.relations[0] !== '=') return null;
    return [item.parts[0] as Value, item.parts[1] as Value];
  });
  return pairs.every((pair) => pair !== null) ? collect(pairs) : null;
}

function collect(pairs: readonly (readonly [Value, Value])[]): Statement[] | null {
  const all = pairs.map(([name, value]): Statement | null => {
    if (name.kind !== 'scalar' || !isName(name)) return null;
    return { name: nameText(name.expression), value };
  });
  return all.every((statement) => statement !== null) ? all : null;
}

function isPlain({ open, close }: Value & { kind: 'tuple' }): boolean {
  return (open === '(' && close === ')') || (open === '⟨' && close === '⟩');
}

/**
 * Two answers of which at least one gives several names their values; null for others. Against a bare tuple the names
 * count in the order of the alphabet if they are neighbours in it, as x, y, z; otherwise as they were written.
 */
export function compareStatements(
  gold: Value,
  prediction: Value,
  options: Options,
  compare: Compare,
  inOrder: (gold: readonly Value[], prediction: readonly Value[], options: Options, compare: Compare) => Verdict,
): Verdict | null {
  const [g, p] = [statementsOf(gold), statementsOf(prediction)];
  if (g !== null && p !== null) {
    const names = new Map(p.all.map(({ name, value }) => [name, value]));
    const values = g.all.map(({ name }) => names.get(name));
    if (g.all.length !== p.all.length || values.some((value) => value === undefined)) return different('other names');
    return inOrder(
      g.all.map(({ value }) => value),
      values as Value[],
      options,
      compare,
    );
  }
  const [named, other] = g !== null ? [g, prediction] : [p, gold];
  if (named === null) return null;
  const numbered = named.all.every(({ name }) => /^[A-Za-z]+_\d$/.test(name));
  if (!numbered && other.kind === 'list' && other.joined === 'or' && other.items.some(({ kind }) => kind === 'chain'))
    return different('"or" between the values of different names');
  if (other.kind !== 'tuple' || !isPlain(other)) return null;
  const order = inAlphabet(named.all);
  const rising = order.every(({ name }, index) => index === 0 || name > (order[index - 1] as Statement).name);
  if (!rising && !named.tuple) return unknown('it is not clear in which order the names count');
  const values = order.map(({ value }) => value);
  const verdict =
    g !== null ? inOrder(values, other.items, options, compare) : inOrder(other.items, values, options, compare);
  return verdict.equal === true && options.strict && !named.tuple
    ? unknown('only one of them names its values')
    : verdict;
}

function inAlphabet(statements: readonly Statement[]): readonly Statement[] {
  const sorted = [...statements].sort((a, b) => (a.name < b.name ? -1 : 1));
  const first = sorted[0]?.name.codePointAt(0) ?? 0;
  const neighbours = sorted.every(
    ({ name }, index) => /^[A-Za-z]$/.test(name) && name.codePointAt(0) === first + index,
  );
  return neighbours ? sorted : statements;
}

/** `x > 1 and x < 4` is `1 < x < 4`; anything else as it is. */
export function withoutAnd(value: Value): Value {
  if (value.kind !== 'list' || value.joined !== 'and' || value.items.length !== 2) return value;
  const [first, second] = value.items.map(boundOf);
  if (!first || !second || first.name !== second.name || first.lower === second.lower) return value;
  const [low, high] = first.lower ? [first, second] : [second, first];
  return { kind: 'chain', parts: [low.bound, low.variable, high.bound], relations: [low.relation, high.relation] };
}

interface Bound {
  variable: Value;
  name: string;
  bound: Value;
  lower: boolean;
  relation: Relation;
}

function boundOf(value: Value): Bound | null {
  if (value.kind !== 'chain' || value.relations.length !== 1) return null;
  const [left, right] = value.parts as [Value, Value];
  const [relation] = value.relations as [Relation];
  if (!/^[<>]=?$/.test(relation)) return null;
  const first = left.kind === 'scalar' && left.expression.kind === 'variable';
  const [variable, bound] = first ? [left, right] : [right, left];
  if (variable.kind !== 'scalar' || variable.expression.kind !== 'variable' || !isConstant(bound)) return null;
  const lower = first === relation.startsWith('>');
  return { variable, name: variable.expression.name, bound, lower, relation: relation.endsWith('=') ? '<=' : '<' };
}
