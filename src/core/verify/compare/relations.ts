import type { Expression } from '../expression.ts';
import { variablesOf } from '../expression.ts';
import { isConstant, isName, isQuantity, nameText, sameName } from '../parse/names.ts';
import type { Relation, Value } from '../values.ts';
import { different, equal, type Options, unknown, type Verdict } from '../verdict.ts';
import { proportion } from './proportion.ts';
import { restates } from './rounding.ts';

type Chain = Value & { kind: 'chain' };
type Compare = (gold: Value, prediction: Value, options: Options) => Verdict;

/**
 * A relation against something that is none: `x = 5` and `5`, `x \in [0, 1]` and `[0, 1]`. Only the name on the left
 * may be left out, on either side; an inequality never stands for an interval, nor a condition for a number.
 */
export function compareWithChain(
  chain: Chain,
  other: Value,
  options: Options,
  compare: Compare,
  which: 'gold' | 'prediction',
): Verdict {
  const form = different(which === 'gold' ? 'the gold answer is a relation' : 'a relation in place of an answer');
  if (!chain.relations.every((relation) => relation === '=' || relation === 'in')) return form;
  if (chain.relations.includes('in') && (chain.relations.length > 1 || !isSet(other))) return form;
  const [first, ...rest] = chain.parts;
  if (first === undefined) return form;
  if (which === 'gold' && other.kind === 'list' && other.items.some(({ kind }) => kind === 'chain')) {
    // x = 5 against y = 5 or y = 5: the names must not be lost.
    const same = other.items.every((item) => compare(chain, item, options).equal === true);
    return same && other.joined === 'or' && !options.strict ? equal('the same relation') : form;
  }
  const named = which === 'prediction' ? isQuantity(first) : isName(first);
  const values = named ? withoutNames(rest, which === 'prediction' && isConstant(other)) : chain.parts;
  if (!named && !values.every(isConstant)) {
    const verdict = compareSides(values.at(-1) as Value, other);
    return verdict.equal === true && !isEquation(chain)
      ? unknown('a relation between formulas in place of an answer')
      : form;
  }
  const [value] = values;
  if (value !== undefined && which === 'gold' && other.kind === 'set' && other.items.length === 1) {
    return compareSides(value, other.items[0] as Value);
  }
  let result: Verdict = form;
  for (const value of values) {
    const verdict = compareSides(value, other);
    // 2/3 = 0.667, 3/4 = 75%
    const again = result.equal === true && which === 'prediction' && !options.strict && restates(other, value, false);
    if (verdict.equal !== true && !again) return verdict;
    if (verdict.equal === true) result = verdict;
  }
  return result;

  function compareSides(value: Value, otherValue: Value): Verdict {
    return which === 'gold' ? compare(value, otherValue, options) : compare(otherValue, value, options);
  }
}

/** S = m + n = 73: what follows further names of the same number. */
function withoutNames(values: readonly Value[], constant: boolean): readonly Value[] {
  const from = constant ? values.findIndex((value) => !isQuantity(value)) : 0;
  return values.slice(Math.max(from, 0));
}

/** A sum or difference of bare names on the left may be the quantity that was asked for. */
function isEquation(chain: Chain): boolean {
  const [left] = chain.parts;
  if (left?.kind !== 'scalar' || left.expression.kind !== 'sum') return true;
  const isBare = (term: Expression): boolean =>
    term.kind === 'variable' || (term.kind === 'negation' && isBare(term.of));
  return !left.expression.terms.every(isBare) || chain.parts.length > 2;
}

function isSet(value: Value): boolean {
  return ['set', 'tuple', 'union', 'named', 'list'].includes(value.kind);
}

/** Two relations: the same up to swapped sides, order of writing, and a constant factor. */
export function compareChains(gold: Chain, prediction: Chain, options: Options, compare: Compare): Verdict {
  const [g, p] = [oriented(gold), oriented(prediction)];
  if (g === null || p === null) return unknown('a chain of relations in both directions');
  if (isAssignmentChain(g) && isAssignmentChain(p)) return compareAssignments(g, p, options, compare);
  if (g.relations.length !== p.relations.length) return different('another number of relations');
  if (g.relations.some((relation, index) => relation !== p.relations[index])) return different('another relation');
  if (g.relations[0] === 'in' || g.relations.includes('mod')) return compareParts(g, p, options, compare);
  const sides = differences(g);
  const others = differences(p);
  if (sides === null || others === null) return compareParts(g, p, options, compare);
  let open: Verdict | null = null;
  for (const [index, side] of sides.entries()) {
    const factor = proportion(side, others[index] as Expression, options.budget);
    const symmetric = g.relations[index] === '=' || g.relations[index] === '!=';
    if (factor === null || (!symmetric && factor === -1)) return refused(gold, prediction);
    if (factor === 'unknown' || (!symmetric && factor === 0)) open ??= unknown('the relations could not be compared');
  }
  return open ?? equal('the same relation');
}

/** Not proportional is not yet not equivalent: xy = 1 and y = 1/x. Where nothing is divided or hidden it is. */
function refused(gold: Chain, prediction: Chain): Verdict {
  const plain = (chain: Chain): boolean =>
    chain.parts.every((part) => part.kind === 'scalar' && isPolynomial(part.expression));
  return plain(gold) && plain(prediction)
    ? different('another relation')
    : unknown('the relations are not multiples of each other');
}

function isPolynomial(expression: Expression): boolean {
  if (variablesOf(expression).length === 0) return true;
  switch (expression.kind) {
    case 'sum':
      return expression.terms.every(isPolynomial);
    case 'product':
      return expression.factors.every(isPolynomial);
    case 'negation':
      return isPolynomial(expression.of);
    case 'quotient':
      return isPolynomial(expression.top) && variablesOf(expression.bottom).length === 0;
    case 'power':
      return isPolynomial(expression.base) && expression.exponent.kind === 'number';
    default:
      return expression.kind === 'variable';
  }
}

function compareParts(g: Chain, p: Chain, options: Options, compare: Compare): Verdict {
  let open: Verdict | null = null;
  for (const [index, part] of g.parts.entries()) {
    const other = p.parts[index] as Value;
    if (index === 0 && (isFunctionOfX(part, other) || isSameVector(part, other))) continue;
    if (index === 0 && part.kind === 'text' && isName(other) && !sameName(part, other)) {
      open ??= unknown('they name different things');
      continue;
    }
    const verdict = compare(part, other, options);
    if (verdict.equal === false) return different(`part ${index + 1}: ${verdict.reason}`);
    if (verdict.equal === 'unknown') open ??= verdict;
  }
  return open ?? equal('the same relation');
}

/** \vec{v} and \mathbf{v} */
function isSameVector(a: Value, b: Value): boolean {
  if (a.kind !== 'scalar' || b.kind !== 'scalar' || !isName(a) || !isName(b)) return false;
  const [first, second] = [a, b].map(({ expression }) => nameText(expression).replace(/^(?:vec|overrightarrow) /, ''));
  return first === second;
}

/** y and f(x) are two names of a function of x. */
function isFunctionOfX(a: Value, b: Value): boolean {
  const [text, name] = a.kind === 'text' ? [a, b] : [b, a];
  return (
    text.kind === 'text' &&
    /^[fgh] ?x$/.test(text.words) &&
    name.kind === 'scalar' &&
    name.expression.kind === 'variable' &&
    name.expression.name === 'y'
  );
}

function isAssignmentChain(chain: Chain): boolean {
  const [first, ...rest] = chain.parts;
  return (
    first !== undefined &&
    isName(first) &&
    rest.every(isConstant) &&
    chain.relations.every((relation) => relation === '=')
  );
}

/** x = 5 against x = 5.0 or n = 5: a name and numbers, compared as numbers. */
function compareAssignments(g: Chain, p: Chain, options: Options, compare: Compare): Verdict {
  const [nameG, ...valuesG] = g.parts;
  const [nameP, ...valuesP] = p.parts;
  for (const [index, value] of valuesP.entries()) {
    const verdict = compare(valuesG[Math.min(index, valuesG.length - 1)] as Value, value, options);
    if (verdict.equal !== true) return verdict;
  }
  if (nameG !== undefined && nameP !== undefined && sameName(nameG, nameP))
    return equal('the same value of the same name');
  if (nameG?.kind === 'scalar' && nameP?.kind === 'scalar') return different('a value for another name');
  return unknown('the same value of another name');
}

const REVERSED: Partial<Record<Relation, Relation>> = { '>': '<', '>=': '<=' };

/** The chain from small to large; null when it goes both ways. */
function oriented(chain: Chain): Chain | null {
  const up = chain.relations.some((relation) => relation === '<' || relation === '<=');
  const down = chain.relations.some((relation) => relation === '>' || relation === '>=');
  if (up && down) return null;
  if (!down) return chain;
  return {
    kind: 'chain',
    parts: [...chain.parts].reverse(),
    relations: [...chain.relations].reverse().map((relation) => REVERSED[relation] ?? relation),
  };
}

/** left - right for every relation; null when a part is no scalar. */
function differences(chain: Chain): Expression[] | null {
  const expressions: Expression[] = [];
  for (const part of chain.parts) {
    if (part.kind !== 'scalar') return null;
    expressions.push(part.expression);
  }
  return expressions.slice(1).map((right, index) => ({
    kind: 'sum',
    terms: [expressions[index] as Expression, { kind: 'negation', of: right }],
  }));
}
