import type { Expression } from '../expression.ts';
import { AmbiguousError, ParseError } from '../limits.ts';
import { compare, toInteger } from '../numbers/fraction.ts';
import type { Range, Tokens } from './brackets.ts';
import { decimalOf, numeralValue } from './numeral.ts';
import { atom, number, powers } from './parse-atom.ts';
import { commandArgument } from './parse-function.ts';
import { deeper, describe, isOperator, peek, type State } from './parse-state.ts';

/**
 * Parses a range of tokens as one scalar. Grammar, loosest first: sums, products (also implicit), signs, powers,
 * postfixes, atoms. What has two readings (`1/xy`, `2\frac{5}{3}`, `\sin\pi/6`) is an error, not a guess.
 * @throws ParseError, LimitError
 */
export function parseExpression(tokens: Tokens, range: Range): Expression {
  const state: State = { tokens, at: range.from, to: range.to, skip: 0, bars: 0, depth: 0 };
  const result = sum(state);
  if (state.at < state.to) throw new ParseError(`"${describe(peek(state))}" is not expected there`);
  return result;
}

export function sum(state: State): Expression {
  const terms = [signed(state)];
  for (let token = peek(state); isOperator(token, '+', '-', '±', '∓'); token = peek(state)) terms.push(signed(state));
  return terms.length === 1 ? (terms[0] as Expression) : { kind: 'sum', terms };
}

/** A term with its signs. */
function signed(state: State): Expression {
  const token = peek(state);
  if (!isOperator(token, '+', '-', '±', '∓')) return product(state);
  state.at += 1;
  const of = deeper(state, () => signed(state));
  if (token?.value === '+') return of;
  return token?.value === '-' ? { kind: 'negation', of } : { kind: 'plusMinus', of, flip: token?.value === '∓' };
}

function product(state: State): Expression {
  let result = factor(state);
  /** Set after `a/b` outside LaTeX's \frac: may a factor follow without a sign? */
  let afterSlash: 'no' | 'numbers' | 'other' = 'no';
  for (;;) {
    const token = peek(state);
    if (isOperator(token, '*')) {
      state.at += 1;
      result = times(result, factorAfterSign(state));
      afterSlash = 'no';
    } else if (isOperator(token, '/')) {
      state.at += 1;
      const numbers = result.kind === 'number' && peek(state)?.type === 'number';
      const bottom = factorAfterSign(state);
      afterSlash = numbers && bottom.kind === 'number' ? 'numbers' : 'other';
      result = { kind: 'quotient', top: result, bottom };
    } else if (startsFactor(state)) {
      if (afterSlash === 'other') throw new AmbiguousError('"a/b c" may be (a/b)c or a/(bc)');
      if (state.skip === 0 && token?.type === 'number' && isLiteral(result)) {
        throw new ParseError('two numbers stand side by side');
      }
      result = times(result, factor(state));
    } else return result;
  }
}

/** A literal number, or a product or power that ends in one: a further number cannot follow. */
function isLiteral(expression: Expression): boolean {
  if (expression.kind === 'number' || expression.kind === 'variable') return true;
  if (expression.kind === 'product') return isLiteral(expression.factors.at(-1) as Expression);
  return expression.kind === 'power' && expression.exponent.kind === 'number';
}

function times(a: Expression, b: Expression): Expression {
  return { kind: 'product', factors: a.kind === 'product' ? [...a.factors, b] : [a, b] };
}

/** After `*` or `/` a sign may stand: 2·-3. */
function factorAfterSign(state: State): Expression {
  const token = peek(state);
  if (!isOperator(token, '-', '+')) return factor(state);
  state.at += 1;
  const of = deeper(state, () => factorAfterSign(state));
  return token?.value === '-' ? { kind: 'negation', of } : of;
}

export function startsFactor(state: State): boolean {
  const token = peek(state);
  if (token === undefined) return false;
  switch (token.type) {
    case 'number':
    case 'name':
    case 'function':
    case 'constant':
    case 'command':
      return true;
    case 'word':
      return true;
    case 'open':
      return token.value !== '\\{' && token.value !== '⟨';
    case 'bar':
      return token.value === '|' && state.bars === 0;
    default:
      return false;
  }
}

export function factor(state: State): Expression {
  return deeper(state, () => {
    const mixed = mixedNumber(state);
    if (mixed !== null) return powers(state, mixed);
    return powers(state, atom(state));
  });
}

/** Both arguments of the `\frac` after the number are digits, with or without braces. */
function hasPlainArguments(state: State): boolean {
  let ahead = 2;
  for (let count = 0; count < 2; ) {
    const braces = peek(state, ahead)?.value === '{';
    const digits = peek(state, ahead + (braces ? 1 : 0))?.numeral;
    if (digits === undefined || (braces && peek(state, ahead + 2)?.value !== '}')) return false;
    // \frac47 has both in one number.
    count += !braces && digits.whole.length > 1 ? 2 : 1;
    ahead += braces ? 3 : 1;
  }
  return true;
}

function standsDegreeSign(state: State): boolean {
  const ahead = peek(state, 1)?.value === '{' ? 2 : 1;
  return isOperator(peek(state, ahead), '°');
}

/** `2\frac{2}{3}` and `2 2/3`: a whole number and a proper fraction. */
function mixedNumber(state: State): Expression | null {
  const whole = peek(state);
  const next = peek(state, 1);
  if (whole?.numeral === undefined || state.skip > 0 || decimalOf(whole.numeral) !== null || whole.numeral.point)
    return null;
  const start = { ...state };
  let fractionPart: Expression;
  if (next?.type === 'command' && next.value === 'frac') {
    // Read ahead only over plain digits: anything else would be read twice at every level of nesting.
    if (!hasPlainArguments(state)) return null;
    state.at += 2;
    const top = commandArgument(state);
    const bottom = commandArgument(state);
    fractionPart = { kind: 'quotient', top, bottom };
  } else if (
    next?.type === 'number' &&
    next.spaced &&
    isOperator(peek(state, 2), '/') &&
    peek(state, 3)?.type === 'number'
  ) {
    state.at += 1;
    const top = number(state);
    state.at += 1;
    fractionPart = { kind: 'quotient', top, bottom: number(state) };
  } else return null;
  const { top, bottom } = fractionPart;
  const raised = isOperator(peek(state), '^') && !standsDegreeSign(state);
  if (top.kind !== 'number' || bottom.kind !== 'number' || raised) {
    Object.assign(state, start);
    return null;
  }
  const proper = [top, bottom].every((part) => toInteger(part.value) !== null) && compare(top.value, bottom.value) < 0;
  if (!proper || top.value.n === 0n)
    throw new AmbiguousError('a number and a fraction stand side by side: a sum or a product');
  return { kind: 'sum', terms: [{ kind: 'number', value: numeralValue(whole.numeral) }, fractionPart] };
}
