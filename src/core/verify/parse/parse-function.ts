import type { Expression, FunctionName } from '../expression.ts';
import { AmbiguousError, ParseError } from '../limits.ts';
import { compare, fraction, ONE } from '../numbers/fraction.ts';
import { splitAt } from './brackets.ts';
import { atom, exponent, inside, letter, letters, number } from './parse-atom.ts';
import { factor, startsFactor } from './parse-expression.ts';
import { deeper, isOperator, peek, type State } from './parse-state.ts';
import type { Token } from './tokenize.ts';
import { FUNCTIONS, INVERSE, TRIGONOMETRIC } from './vocabulary.ts';

/** Commands that occur in names of quantities only. */
export const NOT_WORKED_OUT: ReadonlySet<string> = new Set(['lim', 'int', 'sum', 'prod', 'to', 'det', 'deg', 'dim']);

/** `\frac`, `\binom`, `\sqrt` with their arguments in braces or as single tokens. */
export function command(state: State, token: Token): Expression {
  state.at += 1;
  if (NOT_WORKED_OUT.has(token.value)) {
    throw new ParseError(`it uses \\${token.value}, which this checker does not read`);
  }
  if (token.value === 'figure') throw new ParseError('a figure stands where a number is needed');
  if (token.value === 'sqrt') {
    let index: Expression | null = null;
    const close = state.tokens.closing.get(state.at);
    if (peek(state)?.value === '[' && close !== undefined) {
      index = inside(state, { from: state.at + 1, to: close });
      state.at = close + 1;
    }
    const of = deeper(state, () => commandArgument(state));
    return { kind: 'call', name: 'root', arguments: index === null ? [of] : [of, index] };
  }
  const top = deeper(state, () => commandArgument(state));
  const bottom = deeper(state, () => commandArgument(state));
  if (token.value === 'binom') return { kind: 'call', name: 'binomial', arguments: [top, bottom] };
  return { kind: 'quotient', top, bottom };
}

/** TeX takes one token: a group, a letter or a single digit. */
export function commandArgument(state: State): Expression {
  const token = peek(state);
  if (token === undefined) throw new ParseError('an argument is missing');
  if (token.numeral !== undefined && !token.numeral.commas) {
    const digits = token.numeral.whole;
    const digit = digits[state.skip];
    if (digit === undefined) throw new ParseError('an argument is missing');
    const last = state.skip === digits.length - 1 && !token.numeral.point && token.numeral.exponent === null;
    if (last) {
      state.at += 1;
      state.skip = 0;
    } else state.skip += 1;
    return { kind: 'number', value: fraction(BigInt(digit)) };
  }
  if (token.type === 'word' && letters(token) !== null) return letter(state, token);
  if (token.type === 'word') throw new ParseError('an argument has no braces');
  if (token.type === 'name') {
    state.at += 1;
    return { kind: 'variable', name: token.value };
  }
  if (isOperator(token, '-') || token.type === 'function') throw new ParseError('an argument has no braces');
  return atom(state);
}

export function functionCall(state: State, token: Token): Expression {
  state.at += 1;
  const plainRoot = token.value === 'sqrt' || token.value === 'cuberoot';
  let raised: Expression | null = null;
  let base: Expression | null = null;
  for (let next = peek(state); isOperator(next, '^', '_'); next = peek(state)) {
    state.at += 1;
    if (next?.value === '^') raised = deeper(state, () => exponent(state));
    else base = logarithmBase(state);
  }
  let name = FUNCTIONS.get(token.value) ?? ('root' as FunctionName);
  if (base !== null && name !== 'log') throw new ParseError(`${token.value} has an index`);
  if (raised !== null && isMinusOne(raised)) {
    const inverse = INVERSE.get(name);
    if (inverse === undefined) throw new AmbiguousError(`${token.value}^{-1} may be an inverse or a reciprocal`);
    name = inverse;
    raised = null;
  }
  const parts = deeper(state, () => functionArguments(state, name, plainRoot));
  if (token.value === 'cuberoot') parts.push({ kind: 'number', value: fraction(3n) });
  if (base !== null) parts.push(base);
  checkArguments(name, parts.length, base !== null);
  const call: Expression = { kind: 'call', name, arguments: parts };
  return raised === null ? call : { kind: 'power', base: call, exponent: raised };
}

function checkArguments(name: FunctionName, count: number, hasBase: boolean): void {
  const several = name === 'gcd' || name === 'lcm' || name === 'max' || name === 'min';
  const wanted = name === 'binomial' || hasBase ? 2 : 1;
  if (several ? count < 1 : name === 'root' ? count > 2 : count !== wanted) {
    throw new ParseError(`${name} has ${count} arguments`);
  }
}

function isMinusOne(expression: Expression): boolean {
  return expression.kind === 'negation' && expression.of.kind === 'number' && compare(expression.of.value, ONE) === 0;
}

/** `_2`, `_{10}`; of `\log_28` the base is 2, of `\log_10 100` it is 10. */
function logarithmBase(state: State): Expression {
  const token = peek(state);
  const next = peek(state, 1);
  if (token?.numeral !== undefined && next !== undefined && (next.spaced || next.type !== 'number')) {
    const follows = ['number', 'name', 'word', 'constant', 'command', 'open'].includes(next.type);
    if (follows) return number(state);
  }
  return deeper(state, () => commandArgument(state));
}

function functionArguments(state: State, name: FunctionName, plainRoot: boolean): Expression[] {
  const token = peek(state);
  if (
    token?.type === 'open' &&
    (token.value === '(' || token.value === '{' || token.value === '[' || token.value === '\\{')
  ) {
    const close = state.tokens.closing.get(state.at) as number;
    const inner = { from: state.at + 1, to: close };
    const { parts } = splitAt(state.tokens, inner, (part) => part.type === 'separator' && part.value === ',');
    if (parts.length > 1) {
      state.at = close + 1;
      return parts.map((part) => inside(state, part));
    }
    return [atom(state)];
  }
  if (plainRoot) return [atom(state)];
  if (name === 'log' && token?.type === 'number' && !token.spaced && peek(state, 1)?.value === '(') {
    throw new AmbiguousError('"log2(8)" may be a logarithm to base 2 or of 2');
  }
  const parts: Expression[] = [];
  let hasPi = false;
  while (parts.length === 0 || continuesArgument(state)) {
    const from = state.at;
    if (parts.length === 0 && isOperator(peek(state), '-')) {
      state.at += 1;
      parts.push({ kind: 'number', value: fraction(-1n) });
    }
    parts.push(factor(state));
    hasPi ||= state.tokens.list.slice(from, state.at).some(({ type, value }) => type === 'constant' && value === 'pi');
  }
  if (isOperator(peek(state), '/') && hasPi && TRIGONOMETRIC.has(name)) {
    throw new AmbiguousError(`it is not clear where the argument of ${name} ends`);
  }
  return [parts.length === 1 ? (parts[0] as Expression) : { kind: 'product', factors: parts }];
}

/** In `\sin 2x \cos y` the argument of sin ends at cos; in `\sin x(x+1)` at the bracket. */
function continuesArgument(state: State): boolean {
  const token = peek(state);
  if (token === undefined || token.type === 'function') return false;
  // \sin x e^{-x} is a product.
  if (token.value === 'e' && token.type === 'constant' && isOperator(peek(state, 1), '^')) return false;
  return token.type !== 'open' && token.type !== 'bar' && token.type !== 'number' && startsFactor(state);
}
