import type { Expression } from '../expression.ts';
import { ParseError } from '../limits.ts';
import { fraction } from '../numbers/fraction.ts';
import { type Scalar, scalar } from '../values.ts';
import type { Range, Tokens } from './brackets.ts';
import { letters } from './parse-atom.ts';
import { parseExpression } from './parse-expression.ts';
import type { Token } from './tokenize.ts';
import { isUnitWord, parseUnit } from './units.ts';
import { SHORT_WORDS } from './vocabulary.ts';

/** Parses a scalar with what may stand around it: money before, a unit, per cent or degrees after. */
export function parseQuantity(tokens: Tokens, range: Range): Scalar {
  const money = moneyBefore(tokens, range);
  if (money !== null) return money;
  const percent = tokens.list[range.to - 1];
  if (percent?.type === 'operator' && percent.value === '%') {
    const expression = parseExpression(tokens, { from: range.from, to: range.to - 1 });
    return scalar(expression, { name: 'percent', known: true });
  }
  if (percent?.type === 'money' && range.to - range.from > 1) {
    const expression = parseExpression(tokens, { from: range.from, to: range.to - 1 });
    return scalar(expression, { name: percent.value, known: true });
  }
  const at = unitStart(tokens, range);
  if (at !== null) return withUnit(tokens, range, at);
  const expression = parseExpression(tokens, range);
  const degrees = withoutDegrees(expression);
  if (degrees !== null) return scalar(degrees, { name: 'degree', known: true });
  return { ...scalar(expression), alternative: otherReading(tokens, range) };
}

function moneyBefore(tokens: Tokens, range: Range): Scalar | null {
  const first = tokens.list[range.from];
  const minus = first?.type === 'operator' && first.value === '-';
  const at = minus ? range.from + 1 : range.from;
  const sign = tokens.list[at];
  if (sign?.type !== 'money' || at >= range.to - 1) return null;
  const rest = parseQuantity(tokens, { from: at + 1, to: range.to });
  const expression: Expression = minus ? { kind: 'negation', of: rest.expression } : rest.expression;
  if (rest.unit !== null && rest.unit.name !== sign.value) {
    // "$5 per hour" is an hourly sum of money, "$5 apples" is nothing.
    if (!rest.unit.name.startsWith('/')) throw new ParseError('it has two units');
    return scalar(expression, { name: `${sign.value}${rest.unit.name}`, known: rest.unit.known });
  }
  return scalar(expression, { name: sign.value, known: true });
}

/** Where the words after a number begin; null without any. */
function unitStart(tokens: Tokens, range: Range): number | null {
  for (let index = range.from + 1; index < range.to; index++) {
    const close = tokens.closing.get(index);
    if (close !== undefined) {
      index = close;
      continue;
    }
    const token = tokens.list[index] as Token;
    if (token.type === 'text') return index;
    if (token.type === 'name' && 'CF'.includes(token.value) && tokens.list[index - 1]?.value === '°') return index;
    // \frac{\text{m}}{\text{s}}
    const inside = tokens.list[index + 1]?.value === '{' ? tokens.list[index + 2] : undefined;
    if (token.value === 'frac' && inside?.type === 'text') return index;
    if (token.type === 'word' && isUnit(token, tokens.list[index - 1], tokens.list[index + 1])) return index;
    // $460/week
    const slash = token.type === 'operator' && token.value === '/' ? tokens.list[index + 1] : undefined;
    if (slash?.type === 'word' && isUnitWord(slash.value)) return index;
    // "20 min" and "5 sec" use names of functions.
    if (token.type === 'function' && index === range.to - 1 && isUnitWord(token.value)) return index;
  }
  return null;
}

/** A plural right after a number, as no product of letters is written. */
const PLURAL = /^(?!.*(?:sin|cos|tan|cot|sec|csc|log|ln|exp|sqrt))[a-z]{4,}s$/;

function isUnit(token: Token, before: Token | undefined, after: Token | undefined): boolean {
  if (token.spaced && (token.value === 'sq' || token.value === 'cu'))
    return after?.type === 'word' || after?.value === '.';
  if (before?.type === 'number' && after === undefined && PLURAL.test(token.value)) return true;
  if (isUnitWord(token.value)) return before?.type === 'number' || before?.type === 'close' || token.spaced;
  if (letters(token) === null) return token.spaced;
  return token.spaced && SHORT_WORDS.has(token.value.toLowerCase());
}

const SCALES: ReadonlyMap<string, bigint> = new Map([
  ['dozen', 12n],
  ['hundred', 100n],
  ['thousand', 1_000n],
  ['million', 1_000_000n],
  ['billion', 1_000_000_000n],
  ['trillion', 1_000_000_000_000n],
]);

function withUnit(tokens: Tokens, range: Range, at: number): Scalar {
  const words: string[] = [];
  const isFraction = (tokens.list[at] as Token).value === 'frac';
  for (let index = at; index < range.to; index++) {
    const token = tokens.list[index] as Token;
    const before = tokens.list[index - 1];
    if (isFraction && (token.value === 'frac' || '{}'.includes(token.value))) {
      if (token.value === '{' && before?.value === '}') words.push(' /');
      continue;
    }
    const allowed =
      ['text', 'word', 'name', 'function'].includes(token.type) ||
      (token.type === 'operator' && '^/*.'.includes(token.value)) ||
      inExponent(tokens, index, at);
    if (!allowed) throw new ParseError(`"${token.value.slice(0, 40)}" follows a unit`);
    if ('^-'.includes(token.value) || token.type === 'number') words.push(token.value);
    else if (token.value !== '{' && token.value !== '}' && token.value !== '.') words.push(` ${token.value}`);
  }
  let text = words.join('').trim();
  const [first = '', ...others] = text.split(/\s+/);
  const scale = SCALES.get(first.toLowerCase());
  if (scale !== undefined) text = others.join(' ');
  let to = at;
  // `30^\circ\text{C}`
  const degreeSign = tokens.list[at - 1]?.value === '°';
  if (degreeSign && (text === 'C' || text === 'F')) text = `deg${text}`;
  else if (tokens.list[at - 1]?.value === '-' && tokens.list[at - 2]?.type === 'number') to = at - 1;
  const unit = text === '' ? null : parseUnit(text);
  if (unit === null && text !== '') throw new ParseError(`"${text.slice(0, 40)}" is not a unit`);
  const expression = parseExpression(tokens, { from: range.from, to });
  const plain = withoutDegrees(expression) ?? expression;
  const scaled: Expression =
    scale === undefined ? plain : { kind: 'product', factors: [plain, { kind: 'number', value: fraction(scale) }] };
  return scalar(scaled, unit);
}

/** The sign, number and braces after a "^": m^2, s^{-1}. */
function inExponent(tokens: Tokens, index: number, from: number): boolean {
  const token = tokens.list[index] as Token;
  if (token.type !== 'number' && token.value !== '-' && token.value !== '{' && token.value !== '}') return false;
  for (let at = index - 1; at >= Math.max(from, index - 4); at--) {
    const { value, type } = tokens.list[at] as Token;
    if (value === '^') return true;
    if (type !== 'number' && value !== '-' && value !== '{') return false;
  }
  return false;
}

/** An angle in degrees outside every function: the number before the sign. Null when there is none. */
function withoutDegrees(expression: Expression): Expression | null {
  switch (expression.kind) {
    case 'degrees':
      return expression.of;
    case 'negation':
    case 'plusMinus': {
      const of = withoutDegrees(expression.of);
      return of === null ? null : { ...expression, of };
    }
    case 'sum': {
      const terms = expression.terms.map(withoutDegrees);
      // 90° - x: a plain letter beside degrees is an angle in degrees as well.
      if (terms.every((term) => term === null)) return null;
      return { kind: 'sum', terms: terms.map((term, index) => term ?? (expression.terms[index] as Expression)) };
    }
    case 'product': {
      const angles = expression.factors.map(withoutDegrees);
      if (angles.filter((angle) => angle !== null).length !== 1) return null;
      return {
        kind: 'product',
        factors: angles.map((angle, index) => angle ?? (expression.factors[index] as Expression)),
      };
    }
    case 'quotient': {
      const top = withoutDegrees(expression.top);
      return top === null ? null : { ...expression, top };
    }
    default:
      return null;
  }
}

/** `5 m` may be a length as well as a product; `100,200` may be two numbers as well as one. */
function otherReading(tokens: Tokens, range: Range): Scalar['alternative'] {
  const first = tokens.list[range.from] as Token;
  if (range.to - range.from === 1 && first.numeral?.commas === true && !first.numeral.point) {
    const groups = first.value.split(',');
    // 1,002 is no list: 002 is no number.
    if (groups.some((digits) => digits.startsWith('0'))) return null;
    const items = groups.map((digits) => scalar({ kind: 'number', value: fraction(BigInt(digits)) }));
    return { kind: 'list', items, joined: null };
  }
  const at = numberEnd(tokens, range);
  const rest = at === null ? [] : tokens.list.slice(at, range.to);
  const isFraction = rest[0]?.value === 'frac';
  if (at === null || rest.length === 0 || rest.length > 8 || (rest[0]?.spaced !== true && !isFraction)) return null;
  if (rest[0]?.type === 'number') return null;
  const plain = rest.every(
    ({ type, value }, index) =>
      type === 'name' || type === 'word' || type === 'number' || '/^{}'.includes(value) || (isFraction && index === 0),
  );
  const written = rest.map(({ value, type }, index) => {
    if (type === 'command') return '';
    if (value === '{') return isFraction && rest[index - 1]?.value === '}' ? '/' : '';
    return value === '}' ? '' : value;
  });
  const unit = plain ? parseUnit(written.join('')) : null;
  return unit?.known === true ? scalar(parseExpression(tokens, { from: range.from, to: at }), unit) : null;
}

/** Where a number ends: `5`, `3.0 \times 10^{8}`; null when it does not begin with one. */
function numberEnd(tokens: Tokens, range: Range): number | null {
  const value = (ahead: number): string | undefined => tokens.list[range.from + ahead]?.value;
  if (tokens.list[range.from]?.numeral === undefined) return null;
  if (value(1) !== '*' || value(2) !== '10' || value(3) !== '^') return range.from + 1;
  const close = tokens.closing.get(range.from + 4);
  return close === undefined ? range.from + 5 : close + 1;
}
