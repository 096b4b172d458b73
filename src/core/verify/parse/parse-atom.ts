import type { Expression } from '../expression.ts';
import { ParseError } from '../limits.ts';
import { type Range, splitAt } from './brackets.ts';
import { decimalOf, numeralValue } from './numeral.ts';
import { sum } from './parse-expression.ts';
import { command, functionCall } from './parse-function.ts';
import { deeper, describe, isOperator, peek, type State } from './parse-state.ts';
import type { Token } from './tokenize.ts';
import { FUNCTIONS, SHORT_WORDS } from './vocabulary.ts';

/** Powers, factorials, degrees, per cent and primes after an atom. */
export function powers(state: State, base: Expression): Expression {
  let result = base;
  for (;;) {
    const token = peek(state);
    if (isOperator(token, '^')) {
      state.at += 1;
      if (isDegreeSign(state)) result = { kind: 'degrees', of: result };
      else result = { kind: 'power', base: result, exponent: deeper(state, () => exponent(state)) };
    } else if (isOperator(token, '°')) {
      state.at += 1;
      result = { kind: 'degrees', of: result };
    } else if (isOperator(token, '!')) {
      const double = isOperator(peek(state, 1), '!') && !peek(state, 1)?.spaced;
      state.at += double ? 2 : 1;
      result = { kind: 'factorial', of: result, double };
    } else if (isOperator(token, "'") && result.kind === 'variable') {
      state.at += 1;
      result = { kind: 'variable', name: `${result.name}'` };
    } else return result;
  }
}

/** `^\circ` or `^{\circ}`: reads it if it stands there. */
function isDegreeSign(state: State): boolean {
  if (isOperator(peek(state), '°')) {
    state.at += 1;
    return true;
  }
  if (peek(state)?.value === '{' && isOperator(peek(state, 1), '°') && peek(state, 2)?.value === '}') {
    state.at += 3;
    return true;
  }
  return false;
}

export function exponent(state: State): Expression {
  const token = peek(state);
  if (isOperator(token, '-', '+')) {
    state.at += 1;
    const of = exponent(state);
    return token?.value === '-' ? { kind: 'negation', of } : of;
  }
  // x^ab is (x^a)b, as TeX and precedence have it.
  if (token?.type === 'word' && letters(token) !== null) return letter(state, token);
  const base = atom(state);
  if (!isOperator(peek(state), '^')) return base;
  state.at += 1;
  return { kind: 'power', base, exponent: deeper(state, () => exponent(state)) };
}

export function atom(state: State): Expression {
  const token = peek(state);
  if (token === undefined) throw new ParseError('it ends too early');
  switch (token.type) {
    case 'number':
      return number(state);
    case 'constant':
      state.at += 1;
      return { kind: 'constant', name: token.value as 'pi' | 'e' | 'i' | 'infinity' };
    case 'name':
      state.at += 1;
      if (token.value.startsWith('set ')) throw new ParseError('a set stands where a number is needed');
      return applied(state, variable(state, token.value));
    case 'word':
      return word(state, token);
    case 'function':
      return functionCall(state, token);
    case 'command':
      return command(state, token);
    case 'open':
      return group(state, token);
    case 'bar':
      return bars(state, token);
    default:
      throw new ParseError(`"${describe(token)}" is not expected there`);
  }
}

export function number(state: State): Expression {
  const token = peek(state);
  const numeral = token?.numeral;
  if (numeral === undefined) throw new ParseError('a number is missing');
  if (isOperator(peek(state, 1), '_')) throw new ParseError('a number has an index');
  const value = numeralValue(numeral, state.skip);
  state.at += 1;
  state.skip = 0;
  const written = decimalOf(numeral);
  return written === null ? { kind: 'number', value } : { kind: 'number', value, written };
}

/** A name with its index: a_1, x_{n+1}. */
function variable(state: State, name: string): Expression {
  let full = name;
  if (isOperator(peek(state), '_')) {
    state.at += 1;
    const token = peek(state);
    const end = token?.value === '{' ? state.tokens.closing.get(state.at) : state.at;
    if (token === undefined || end === undefined || end >= state.to) throw new ParseError('an index is missing');
    const index = state.tokens.list.slice(state.at, end + 1).filter(({ value }) => value !== '{' && value !== '}');
    full = `${name}_${index.map(({ value }) => value).join(' ')}`;
    state.at = end + 1;
  }
  return { kind: 'variable', name: full };
}

/** `f(2)` is a value of f, not a product: a name of its own, compared as written. */
function applied(state: State, name: Expression): Expression {
  const open = peek(state);
  const close = state.tokens.closing.get(state.at);
  if (name.kind !== 'variable' || !/^[fghFGH]'*$/.test(name.name)) return name;
  if (open?.value !== '(' || open.spaced || close === undefined || close >= state.to) return name;
  const inside = state.tokens.list.slice(state.at, close + 1).map(({ value }) => value);
  state.at = close + 1;
  return { kind: 'variable', name: `${name.name}${inside.join(' ')}` };
}

/** The letters of a short word that can be a product, as `xy` or `abc`; null for a word of a language. */
export function letters(token: Token): string[] | null {
  const isFigure = token.value === token.value.toUpperCase() && !/^[AP]M$/.test(token.value);
  if (token.value.length > 4 || (!isFigure && SHORT_WORDS.has(token.value.toLowerCase()))) return null;
  if (token.value.length === 4 && !/^([a-d]+|[w-z]+|[A-Z]+)$/.test(token.value)) return null;
  return /^[A-Za-z]+$/.test(token.value) ? [...token.value] : null;
}

function named(name: string): Expression {
  return name === 'e' || name === 'i' ? { kind: 'constant', name } : { kind: 'variable', name };
}

/** The next single letter of a run of letters, where only one belongs to what stands before it. */
export function letter(state: State, token: Token): Expression {
  const result = named(token.value[state.skip] as string);
  const last = state.skip === token.value.length - 1;
  state.at += last ? 1 : 0;
  state.skip = last ? 0 : state.skip + 1;
  return result;
}

function word(state: State, token: Token): Expression {
  const split = letters(token);
  if (split !== null) {
    const factors = split.slice(state.skip).map(named);
    state.at += 1;
    state.skip = 0;
    const last = factors.pop() as Expression;
    // An exponent or an index belongs to the last letter only.
    const tail = last.kind === 'variable' ? variable(state, last.name) : last;
    return { kind: 'product', factors: [...factors, powers(state, tail)] };
  }
  // `xsin(x)`: a function's name after letters.
  for (const length of [6, 5, 4, 3, 2]) {
    const name = token.value.slice(-length);
    const before = token.value.slice(0, -length);
    if (FUNCTIONS.has(name) && before.length > 0 && before.length <= 2 && peek(state, 1)?.value === '(') {
      const call = functionCall(state, { ...token, type: 'function', value: name });
      const factors = [...before].map((letter): Expression => ({ kind: 'variable', name: letter }));
      return { kind: 'product', factors: [...factors, call] };
    }
  }
  throw new ParseError(`"${describe(token)}" is a word`);
}

/** The expression inside a bracket, and the position after it. */
function group(state: State, token: Token): Expression {
  const close = state.tokens.closing.get(state.at);
  if (close === undefined || close >= state.to) throw new ParseError('a bracket is not closed');
  const closer = state.tokens.list[close] as Token;
  const inner = { from: state.at + 1, to: close };
  const only = state.tokens.list[inner.from] as Token;
  state.at = close + 1;
  if (token.value === '{' && only.type === 'function' && close - inner.from === 1) {
    state.at -= 1; // {\sin} x: the call reads on from the name's place
    return functionCall(state, only);
  }
  const content = deeper(state, () => inside(state, inner));
  if (token.value === '⌊' || token.value === '⌈') {
    return { kind: 'call', name: token.value === '⌊' ? 'floor' : 'ceil', arguments: [content] };
  }
  if (token.value === 'lbar') return { kind: 'call', name: 'abs', arguments: [content] };
  const matching =
    token.value === '{' ||
    (token.value === '(' && closer.value === ')') ||
    (token.value === '[' && closer.value === ']');
  if (!matching) throw new ParseError('an interval stands where a number is needed');
  return content;
}

/** Parses a range with fresh bars, keeping the depth; understands `a \over b` and `n \choose k`. */
export function inside(state: State, range: Range): Expression {
  if (range.from >= range.to) throw new ParseError('a bracket is empty');
  const { parts, separators } = splitAt(state.tokens, range, (token) => isOperator(token, 'over', 'choose'));
  const [first, second] = parts.map((part) => {
    const nested: State = { ...state, at: part.from, to: part.to, skip: 0, bars: 0 };
    const result = sum(nested);
    if (nested.at < nested.to) throw new ParseError(`"${describe(peek(nested))}" is not expected there`);
    return result;
  });
  if (first === undefined || parts.length > 2) throw new ParseError('"\\over" needs braces');
  if (second === undefined) return first;
  if (separators[0]?.value === 'over') return { kind: 'quotient', top: first, bottom: second };
  return { kind: 'call', name: 'binomial', arguments: [first, second] };
}

function bars(state: State, token: Token): Expression {
  if (token.value !== '|') throw new ParseError(`"${token.value}" is not expected there`);
  state.at += 1;
  const outer = state.bars;
  state.bars = outer + 1;
  const of = deeper(state, () => sum(state));
  state.bars = outer;
  if (peek(state)?.type !== 'bar' || peek(state)?.value !== '|') throw new ParseError('a bar is not closed');
  state.at += 1;
  return { kind: 'call', name: 'abs', arguments: [of] };
}
