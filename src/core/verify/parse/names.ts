import { children, type Expression, variablesOf } from '../expression.ts';
import { scalar, type Value } from '../values.ts';

export function isConstant(value: Value): boolean {
  return value.kind === 'scalar' && variablesOf(value.expression).length === 0;
}

/** What may stand left of "=" as the name of the answer: x, f(x), AB, |AB|, (x, y), \text{Area}. */
export function isName(value: Value): boolean {
  if (value.kind === 'text' || value.kind === 'choice') return true;
  if (value.kind === 'tuple') return value.items.every(isName);
  if (value.kind === 'ratio') return value.parts.every(isNameExpression);
  return value.kind === 'scalar' && isNameExpression(value.expression);
}

function isNameExpression(expression: Expression): boolean {
  if (expression.kind === 'variable') return true;
  if (expression.kind === 'call') return expression.name === 'abs' && expression.arguments.every(isNameExpression);
  if (expression.kind === 'quotient') return isFigure(expression.top) && isFigure(expression.bottom);
  return isFigure(expression);
}

/** Functions of names that are quantities themselves; \ln x = 3 and \sqrt x = 4 are equations to be solved. */
const QUANTITIES = new Set('abs sin cos tan cot sec csc gcd lcm max min floor ceil'.split(' '));

/**
 * What may stand left of "=" before an answer, as the quantity that was asked for: a name, or anything made of names
 * alone, as m + n, xy, dy/dx, \sin A. With a number in it, as 2x = 6, it is an equation that is not solved.
 */
export function isQuantity(value: Value): boolean {
  if (value.kind === 'named') return value.name === 'P' || value.name === 'E';
  return isName(value) || (value.kind === 'scalar' && value.unit === null && isMadeOfNames(value.expression));
}

function isMadeOfNames(expression: Expression): boolean {
  switch (expression.kind) {
    case 'variable':
      return true;
    case 'sum': {
      // In a - b, but not in -a: -x = 6 is not solved.
      const terms = expression.terms.map((term) => (term.kind === 'negation' ? term.of : term));
      return terms.every(isMadeOfNames) && expression.terms.some(({ kind }) => kind !== 'negation');
    }
    case 'product':
    case 'quotient':
      return children(expression).every(isMadeOfNames);
    case 'call':
      return QUANTITIES.has(expression.name) && expression.arguments.every(isMadeOfNames);
    default:
      return false;
  }
}

/** AB, ABC: a segment or a figure, by its length or area. */
function isFigure(expression: Expression): boolean {
  return (
    expression.kind === 'product' &&
    expression.factors.every((factor) => factor.kind === 'variable' && /^[A-Z]'?$/.test(factor.name))
  );
}

/** `x = 1, x = 2` and `x = 1, 2` without the name; anything else as it is. */
export function assignedValues(items: readonly Value[]): readonly Value[] {
  const assigned = withNames(items).map(assignment);
  const [first] = assigned;
  if (first === undefined || first === null) return items;
  const same = assigned.every((part) => part !== null && sameName(part.name, first.name));
  return same ? assigned.map((part) => (part as Assigned).value) : items;
}

/** `x = 1, 2` with the name before each value; anything else as it is. */
export function withNames(items: readonly Value[]): readonly Value[] {
  const [first, ...others] = items;
  const assigned = first === undefined ? null : assignment(first);
  if (first === undefined || assigned === null || others.some(({ kind }) => kind === 'chain')) return items;
  return [first, ...others.map((value): Value => ({ kind: 'chain', parts: [assigned.name, value], relations: ['='] }))];
}

/** `x_1 = 3, x_2 = -2` are two values of x, unless the gold answer numbers them as well. */
export function withoutNumbers(items: readonly Value[], gold: readonly Value[]): readonly Value[] {
  const base = (item: Value): string | null => {
    const name = assignment(item)?.name;
    if (name?.kind !== 'scalar' || name.expression.kind !== 'variable') return null;
    return /^([A-Za-z]+)_\d$/.exec(name.expression.name)?.[1] ?? null;
  };
  const [first] = items;
  const name = first === undefined ? null : base(first);
  if (name === null || items.some((item) => base(item) !== name) || gold.some((item) => base(item) !== null))
    return items;
  const left = scalar({ kind: 'variable', name });
  return items.map((item) => (item.kind === 'chain' ? { ...item, parts: [left, ...item.parts.slice(1)] } : item));
}

interface Assigned {
  name: Value;
  value: Value;
}

function assignment(value: Value): Assigned | null {
  if (value.kind !== 'chain' || value.relations.length !== 1 || value.relations[0] !== '=') return null;
  const [name, result] = value.parts;
  return name !== undefined && result !== undefined && isName(name) ? { name, value: result } : null;
}

export function sameName(a: Value, b: Value): boolean {
  if (a.kind === 'text' && b.kind === 'text') return a.folded === b.folded;
  if (a.kind === 'tuple' && b.kind === 'tuple') {
    return a.items.length === b.items.length && a.items.every((item, index) => sameName(item, b.items[index] as Value));
  }
  if (a.kind !== 'scalar' || b.kind !== 'scalar') return false;
  return nameText(a.expression) === nameText(b.expression);
}

export function nameText(expression: Expression): string {
  if (expression.kind === 'variable') return expression.name;
  if (expression.kind === 'product') return expression.factors.map(nameText).join(' ');
  if (expression.kind === 'quotient') return `${nameText(expression.top)} / ${nameText(expression.bottom)}`;
  return expression.kind === 'call' ? `|${expression.arguments.map(nameText).join()}|` : '?';
}
