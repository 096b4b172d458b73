import { add, divide, multiply, type Rational, rational, subtract } from './rational.ts';

export type Operator = '+' | '-' | '*' | '/';

/** A parsed expression over whole numbers. */
export type Expression =
  | { kind: 'number'; value: number }
  | { kind: 'operation'; operator: Operator; left: Expression; right: Expression };

/**
 * Caps that are checked before anything is computed. They bound the recursion and, as there are no powers, the size
 * of every intermediate fraction; a Countdown answer needs far less.
 */
const MAX_LENGTH = 400;
const MAX_DEPTH = 50;
const MAX_DIGITS = 15;

const PRECEDENCE: Record<Operator, number> = { '+': 1, '-': 1, '*': 2, '/': 2 };

/**
 * Parses whole numbers, `+ - * /` and round brackets, without eval. Signs, powers and decimals are refused. Errors are
 * values with a message for people: model output is hostile input and must never throw.
 */
export function parseExpression(text: string): Expression | { error: string } {
  if (text.length > MAX_LENGTH) return { error: `the expression is longer than ${MAX_LENGTH} characters` };
  const tokens = text.match(/\d+|\S/g) ?? [];
  let position = 0;
  let error = '';

  const fail = (message: string): null => {
    error ||= message;
    return null;
  };

  function operand(depth: number): Expression | null {
    const token = tokens[position];
    if (token === undefined) return fail('the expression ends too early');
    position += 1;
    if (/^\d/.test(token)) {
      return token.length > MAX_DIGITS ? fail('a number is too long') : { kind: 'number', value: Number(token) };
    }
    if (token !== '(') return fail(`unexpected "${token}"`);
    if (depth >= MAX_DEPTH) return fail(`brackets are nested deeper than ${MAX_DEPTH}`);
    const inner = operation(1, depth + 1);
    if (inner === null) return null;
    if (tokens[position] !== ')') return fail('a bracket is not closed');
    position += 1;
    return inner;
  }

  /** Precedence climbing: all operators are left-associative. */
  function operation(minPrecedence: number, depth: number): Expression | null {
    let left = operand(depth);
    while (left !== null) {
      const operator = tokens[position];
      if (!isOperator(operator) || PRECEDENCE[operator] < minPrecedence) return left;
      position += 1;
      const right = operation(PRECEDENCE[operator] + 1, depth);
      left = right === null ? null : { kind: 'operation', operator, left, right };
    }
    return null;
  }

  const expression = operation(1, 0);
  if (expression === null) return { error };
  if (position < tokens.length) return { error: `unexpected "${tokens[position]}"` };
  return expression;
}

/** The exact value and the numbers used, in order of appearance. Division by zero is an error value. */
export function evaluateExpression(text: string): { value: Rational; numbers: number[] } | { error: string } {
  const expression = parseExpression(text);
  if ('error' in expression) return expression;
  const value = expressionValue(expression);
  return value === null ? { error: 'division by zero' } : { value, numbers: expressionNumbers(expression) };
}

/** Null where something is divided by zero. */
export function expressionValue(expression: Expression): Rational | null {
  if (expression.kind === 'number') return rational(expression.value);
  const left = expressionValue(expression.left);
  const right = expressionValue(expression.right);
  if (left === null || right === null) return null;
  switch (expression.operator) {
    case '+':
      return add(left, right);
    case '-':
      return subtract(left, right);
    case '*':
      return multiply(left, right);
    case '/':
      return divide(left, right);
  }
}

export function expressionNumbers(expression: Expression): number[] {
  if (expression.kind === 'number') return [expression.value];
  return [...expressionNumbers(expression.left), ...expressionNumbers(expression.right)];
}

/**
 * One text for expressions that differ only in spacing, superfluous brackets, or the order and grouping of what is
 * added or multiplied: `3+9*4`, `(4*9)+3` → `(+ (* 4 9) 3)`. Differences and quotients keep their order.
 */
export function normalForm(expression: Expression): string {
  if (expression.kind === 'number') return `${expression.value}`;
  const { operator } = expression;
  if (operator === '-' || operator === '/') {
    return `(${operator} ${normalForm(expression.left)} ${normalForm(expression.right)})`;
  }
  return `(${operator} ${terms(expression, operator).map(normalForm).sort().join(' ')})`;
}

/** The operands of a chain of one associative operator. */
function terms(expression: Expression, operator: Operator): Expression[] {
  if (expression.kind === 'number' || expression.operator !== operator) return [expression];
  return [...terms(expression.left, operator), ...terms(expression.right, operator)];
}

function isOperator(token: string | undefined): token is Operator {
  return token === '+' || token === '-' || token === '*' || token === '/';
}
