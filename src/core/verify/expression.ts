import type { Fraction } from './numbers/fraction.ts';

/** A parsed scalar. Sums and products are flat, so that a long one is not a deep one. */
export type Expression =
  /** `written` is set for a literal with a decimal point or an exponent: how precisely it was written. */
  | { kind: 'number'; value: Fraction; written?: Decimal }
  | { kind: 'constant'; name: 'pi' | 'e' | 'i' | 'infinity' }
  | { kind: 'variable'; name: string }
  | { kind: 'sum'; terms: Expression[] }
  | { kind: 'product'; factors: Expression[] }
  | { kind: 'quotient'; top: Expression; bottom: Expression }
  | { kind: 'negation'; of: Expression }
  | { kind: 'power'; base: Expression; exponent: Expression }
  | { kind: 'call'; name: FunctionName; arguments: Expression[] }
  | { kind: 'factorial'; of: Expression; double: boolean }
  /** An angle in degrees; its value is in radians. */
  | { kind: 'degrees'; of: Expression }
  /** ± of a value: stands for two values. `flip` marks ∓. */
  | { kind: 'plusMinus'; of: Expression; flip: boolean };

export interface Decimal {
  /** Digits after the decimal point, less the exponent of ten: the last place is 10^-places. */
  places: number;
  /** Digits from the first that is not 0. */
  significant: number;
}

export type FunctionName =
  | 'root'
  | 'abs'
  | 'exp'
  | 'ln'
  | 'log'
  | 'sin'
  | 'cos'
  | 'tan'
  | 'cot'
  | 'sec'
  | 'csc'
  | 'arcsin'
  | 'arccos'
  | 'arctan'
  | 'sinh'
  | 'cosh'
  | 'tanh'
  | 'floor'
  | 'ceil'
  | 'binomial'
  | 'gcd'
  | 'lcm'
  | 'max'
  | 'min'
  | 'cis';

/** The parts an expression is made of, one level down. */
export function children(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case 'number':
    case 'constant':
    case 'variable':
      return [];
    case 'sum':
      return expression.terms;
    case 'product':
      return expression.factors;
    case 'quotient':
      return [expression.top, expression.bottom];
    case 'power':
      return [expression.base, expression.exponent];
    case 'call':
      return expression.arguments;
    default:
      return [expression.of];
  }
}

/** True when the test holds for the expression or anything inside it. */
export function some(expression: Expression, test: (part: Expression) => boolean): boolean {
  return test(expression) || children(expression).some((child) => some(child, test));
}

/** The same expression with every part replaced bottom-up. */
export function rewrite(expression: Expression, replace: (part: Expression) => Expression): Expression {
  const inner = (child: Expression): Expression => rewrite(child, replace);
  switch (expression.kind) {
    case 'number':
    case 'constant':
    case 'variable':
      return replace(expression);
    case 'sum':
      return replace({ ...expression, terms: expression.terms.map(inner) });
    case 'product':
      return replace({ ...expression, factors: expression.factors.map(inner) });
    case 'quotient':
      return replace({ ...expression, top: inner(expression.top), bottom: inner(expression.bottom) });
    case 'power':
      return replace({ ...expression, base: inner(expression.base), exponent: inner(expression.exponent) });
    case 'call':
      return replace({ ...expression, arguments: expression.arguments.map(inner) });
    default:
      return replace({ ...expression, of: inner(expression.of) });
  }
}

/** Names of the variables, sorted. */
export function variablesOf(expression: Expression): string[] {
  const names = new Set<string>();
  some(expression, (part) => {
    if (part.kind === 'variable') names.add(part.name);
    return false;
  });
  return [...names].sort();
}

/** Bits of the largest number written in the expression: approximations must be finer than that. */
export function literalBits(expression: Expression, bits: (n: bigint) => number): number {
  let most = 0;
  some(expression, (part) => {
    if (part.kind === 'number') most = Math.max(most, bits(part.value.n), bits(part.value.d));
    return false;
  });
  return most;
}
