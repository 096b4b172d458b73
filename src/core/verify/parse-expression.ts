import { type Range, splitAt, type Tokens } from './brackets.ts';
import type { Expression, FunctionName } from './expression.ts';
import { compare, fraction, ONE, toInteger } from './fraction.ts';
import { AmbiguousError, LimitError, MAX_DEPTH, ParseError } from './limits.ts';
import { decimalOf, numeralValue } from './numeral.ts';
import type { Token } from './tokenize.ts';
import { FUNCTIONS, INVERSE, SHORT_WORDS, TRIGONOMETRIC } from './vocabulary.ts';

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

interface State {
  tokens: Tokens;
  at: number;
  to: number;
  /** Digits of the number at `at` that are already read: `\frac12` takes them one by one. */
  skip: number;
  /** Absolute value bars that are open. */
  bars: number;
  depth: number;
}

function peek(state: State, ahead = 0): Token | undefined {
  return state.at + ahead < state.to ? state.tokens.list[state.at + ahead] : undefined;
}

function isOperator(token: Token | undefined, ...values: string[]): boolean {
  return token?.type === 'operator' && values.includes(token.value);
}

function describe(token: Token | undefined): string {
  return token === undefined ? 'the end' : token.value.slice(0, 40);
}

function deeper<T>(state: State, read: () => T): T {
  state.depth += 1;
  if (state.depth > MAX_DEPTH) throw new LimitError(`it is nested deeper than ${MAX_DEPTH}`);
  const result = read();
  state.depth -= 1;
  return result;
}

function sum(state: State): Expression {
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

function startsFactor(state: State): boolean {
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

function factor(state: State): Expression {
  return deeper(state, () => {
    const mixed = mixedNumber(state);
    if (mixed !== null) return mixed;
    return powers(state, atom(state));
  });
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
  if (top.kind !== 'number' || bottom.kind !== 'number' || isOperator(peek(state), '^')) {
    Object.assign(state, start);
    return null;
  }
  const proper = [top, bottom].every((part) => toInteger(part.value) !== null) && compare(top.value, bottom.value) < 0;
  if (!proper || top.value.n === 0n)
    throw new AmbiguousError('a number and a fraction stand side by side: a sum or a product');
  return { kind: 'sum', terms: [{ kind: 'number', value: numeralValue(whole.numeral) }, fractionPart] };
}

/** Powers, factorials, degrees, per cent and primes after an atom. */
function powers(state: State, base: Expression): Expression {
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

function exponent(state: State): Expression {
  const token = peek(state);
  if (isOperator(token, '-', '+')) {
    state.at += 1;
    const of = exponent(state);
    return token?.value === '-' ? { kind: 'negation', of } : of;
  }
  if (token?.type === 'word' && letters(token) !== null)
    throw new AmbiguousError('it is not clear where the exponent ends');
  const base = atom(state);
  if (!isOperator(peek(state), '^')) return base;
  state.at += 1;
  return { kind: 'power', base, exponent: deeper(state, () => exponent(state)) };
}

function atom(state: State): Expression {
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

function number(state: State): Expression {
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
  if (token.value.length > 4 || SHORT_WORDS.has(token.value.toLowerCase())) return null;
  if (token.value.length === 4 && !/^([a-d]+|[w-z]+|[A-Z]+)$/.test(token.value)) return null;
  return /^[A-Za-z]+$/.test(token.value) ? [...token.value] : null;
}

function word(state: State, token: Token): Expression {
  const split = letters(token);
  if (split !== null) {
    state.at += 1;
    const factors: Expression[] = split.map((name) =>
      name === 'e' || name === 'i' ? { kind: 'constant', name } : { kind: 'variable', name },
    );
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
function inside(state: State, range: Range): Expression {
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

/** `\frac`, `\binom`, `\sqrt` with their arguments in braces or as single tokens. */
function command(state: State, token: Token): Expression {
  state.at += 1;
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
function commandArgument(state: State): Expression {
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
  if (token.type === 'word' && token.value.length > 1) throw new ParseError('an argument has no braces');
  if (token.type === 'name') {
    state.at += 1;
    return { kind: 'variable', name: token.value };
  }
  if (isOperator(token, '-') || token.type === 'function') throw new ParseError('an argument has no braces');
  return atom(state);
}

function functionCall(state: State, token: Token): Expression {
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
  if (token?.type === 'open' && (token.value === '(' || token.value === '{' || token.value === '[')) {
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
  return token.type !== 'open' && token.type !== 'bar' && token.type !== 'number' && startsFactor(state);
}
