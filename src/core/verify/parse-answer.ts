import { enclosed, matchBrackets, type Range, splitAt, type Tokens } from './brackets.ts';
import { fraction } from './fraction.ts';
import { AmbiguousError, LimitError, MAX_CHARACTERS, MAX_DEPTH, ParseError } from './limits.ts';
import { parseExpression } from './parse-expression.ts';
import { parseMatrix } from './parse-matrix.ts';
import { parseQuantity } from './parse-quantity.ts';
import { expandPlusMinus } from './plus-minus.ts';
import { choiceLetter, foldText, numberWord } from './text.ts';
import { type Token, tokenize } from './tokenize.ts';
import { unwrap, wholeGroup } from './unwrap.ts';
import type { Bracket, Relation, Value } from './values.ts';
import { scalar } from './values.ts';
import { SHORT_WORDS } from './vocabulary.ts';

/** `malformed` is nothing this checker reads; `ambiguous` has two readings; `limit` is beyond a cap. */
export type Parsed =
  | { ok: true; value: Value; text: string }
  | { ok: false; kind: 'malformed' | 'ambiguous' | 'limit'; error: string };

/**
 * Reads an answer as a typed value. Never throws: `error` says, for people, what was not understood. `text` is the
 * answer without the delimiters around it.
 */
export function parseAnswer(answer: string): Parsed {
  if (answer.length > MAX_CHARACTERS) return refused(new LimitError(`it has more than ${MAX_CHARACTERS} characters`));
  try {
    const text = unwrap(answer);
    if (text === '') throw new ParseError('it is empty');
    return { ok: true, value: parseWhole(text), text };
  } catch (error) {
    return refused(error);
  }
}

function refused(error: unknown): Parsed & { ok: false } {
  if (error instanceof AmbiguousError) return { ok: false, kind: 'ambiguous', error: error.message };
  if (error instanceof ParseError) return { ok: false, kind: 'malformed', error: error.message };
  if (error instanceof LimitError) return { ok: false, kind: 'limit', error: error.message };
  // A cap that was missed, for example a stack overflow, must not end a run.
  return {
    ok: false,
    kind: 'limit',
    error: `it cannot be worked out (${error instanceof Error ? error.name : 'error'})`,
  };
}

const BASED =
  /^\(?([0-9][0-9A-Za-z]*|[A-Fa-f][0-9A-Fa-f]*)\)?_\s*\{?\s*(?:\\text\s*\{)?\s*([0-9]{1,2}|[a-z]+)\s*\}{0,2}$/;
const BASE_WORDS = 'two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen'.split(
  ' ',
);

function parseWhole(text: string): Value {
  for (const command of ['\\text', '\\mbox', '\\textbf', '\\mathrm', '\\mathbf', '\\textit', '\\textrm', '\\mathit']) {
    if (!text.startsWith(`${command}{`) && !text.startsWith(`${command} {`)) continue;
    const inner = wholeGroup(text, command.length);
    if (inner === null) continue;
    const letter = choiceLetter(inner);
    if (letter !== null) return { kind: 'choice', letter, rest: null };
    return parseWhole(unwrap(inner) || inner);
  }
  const compact = text.replace(/\\[,!;: ]|[\s,]/g, '').replace(/^\{(\w+)\}_/, '$1_');
  const based = BASED.exec(compact);
  if (based !== null && (/\d/.test(`${based[2]}`) || BASE_WORDS.includes(`${based[2]}`))) {
    return basedNumber(based[1] as string, based[2] as string);
  }
  const bracketed = /^(?:\(([A-J])\)|([B-DF-HJ])[).]?|(?:option|choice)\s*\(?([A-J])\)?)$/i.exec(text);
  if (bracketed !== null) {
    const letter = bracketed[1] ?? bracketed[2] ?? bracketed[3] ?? '';
    // (a), like (x), may be a name in brackets.
    if (letter === letter.toUpperCase()) return { kind: 'choice', letter, rest: null };
  }
  const elaborated = /^(?:\(([A-J])\)|([A-J])[).:])\s+(?=[^\s(*/+^=<>!|,;-])(.+)$/s.exec(text);
  if (elaborated !== null) {
    const [, inBrackets, before, rest = ''] = elaborated;
    return { kind: 'choice', letter: inBrackets ?? before ?? '', rest: parseWhole(unwrap(rest)) };
  }
  return parseTop(matchBrackets(tokenize(text)), null, text);
}

function basedNumber(digits: string, index: string): Value {
  const base = /^\d/.test(index) ? Number(index) : BASE_WORDS.indexOf(index) + 2;
  if (base < 2 || base > 36) throw new ParseError(`"${index}" is not a base`);
  let value = 0n;
  for (const digit of digits) {
    const amount = Number.parseInt(digit, 36);
    if (amount >= base) {
      // x_1, a_{10}: a name with an index.
      if (/^[A-Za-z]$/.test(digits)) return scalar({ kind: 'variable', name: `${digits}_${index}` });
      throw new ParseError(`"${digit}" is not a digit in base ${base}`);
    }
    if (digits.length > 1_000) throw new ParseError('a number is too long');
    value = value * BigInt(base) + BigInt(amount);
  }
  return { kind: 'based', digits: digits.replace(/^0+(?=.)/, '').toUpperCase(), base, value };
}

function parseTop(tokens: Tokens, range: Range | null, text: string): Value {
  const whole = range ?? { from: 0, to: tokens.list.length };
  try {
    return expandPlusMinus(parsePart(tokens, whole, 0));
  } catch (error) {
    if (!(error instanceof ParseError) || error instanceof AmbiguousError) throw error;
    const words = plainText(tokens);
    if (words === null) throw error;
    const folded = foldText(text);
    if (folded.folded === '') throw error;
    const letter = choiceLetter(text);
    return letter === null ? folded : { kind: 'choice', letter, rest: null };
  }
}

/** A text is words, numbers and punctuation, with no formula in it; null for everything else. */
function plainText(tokens: Tokens): true | null {
  let words = 0;
  for (const token of tokens.list) {
    // A point between letters: "a.m.", "U.S."
    if (token.type === 'text' || token.type === 'word' || token.value === '.') words += 1;
    else if (token.type === 'operator' && "-':!/.".includes(token.value)) continue;
    else if (token.type === 'open' && '({'.includes(token.value)) continue;
    else if (token.type === 'close' && ')}'.includes(token.value)) continue;
    else if (token.value === 'figure') words += 1;
    else if (!['number', 'name', 'constant', 'separator', 'function', 'money'].includes(token.type)) return null;
  }
  return words > 0 ? true : null;
}

const SEPARATORS = new Set([',', ';', 'or', 'and']);

export function parsePart(tokens: Tokens, range: Range, depth: number): Value {
  if (depth > MAX_DEPTH / 4) throw new ParseError('it is nested too deep');
  if (range.from >= range.to) throw new ParseError('a part is empty');
  const choice = leadingChoice(tokens, range, depth);
  if (choice !== null) return choice;
  const list = parseList(tokens, range, depth);
  if (list !== null) return list;
  const chain = parseChain(tokens, range, depth);
  if (chain !== null) return chain;
  const union = parseUnion(tokens, range, depth);
  if (union !== null) return union;
  const bracket = parseBracket(tokens, range, depth);
  if (bracket !== null) return bracket;
  const matrix = parseMatrix(tokens, range, (part) => parsePart(tokens, part, depth + 1));
  if (matrix !== null) return matrix;
  const ratio = parseRatio(tokens, range);
  if (ratio !== null) return ratio;
  const only = range.to - range.from === 1 ? (tokens.list[range.from] as Token) : null;
  if (only?.type === 'name' && only.value.startsWith('set ')) return { kind: 'named', name: only.value.slice(4) };
  if (only !== null && (only.type === 'text' || only.type === 'word')) return single(only);
  return parseQuantity(tokens, range);
}

/** One text or one word. */
function single(token: Token): Value {
  const letter = token.type === 'text' ? choiceLetter(token.value) : null;
  if (letter !== null) return { kind: 'choice', letter, rest: null };
  const folded = foldText(token.value);
  const amount = numberWord(folded.folded);
  if (amount !== null) return scalar({ kind: 'number', value: fraction(amount) });
  if (token.type === 'text') {
    const inner = parseAnswer(token.value.replace(/\$/g, ' '));
    if (inner.ok && (inner.value.kind !== 'scalar' || !looksLikeWord(token.value))) return inner.value;
    return folded;
  }
  if (!looksLikeWord(token.value)) return parseQuantityOfWord(token);
  return folded;
}

function looksLikeWord(text: string): boolean {
  const trimmed = text.trim();
  return (
    /^[\p{L}][\p{L}\s'-]+$/u.test(trimmed) &&
    (trimmed.length > 3 || SHORT_WORDS.has(trimmed.toLowerCase()) || !/^[A-Za-z]{2,3}$/.test(trimmed))
  );
}

function parseQuantityOfWord(token: Token): Value {
  const tokens: Tokens = { list: [token], closing: new Map() };
  return scalar(parseExpression(tokens, { from: 0, to: 1 }));
}

/** `\textbf{(C)} 12`: the letter of a choice and what it stands for. */
function leadingChoice(tokens: Tokens, range: Range, depth: number): Value | null {
  const first = tokens.list[range.from] as Token;
  if (depth > 0 || range.to - range.from < 2) return null;
  if (first.type === 'text' && /^\s*\(?[A-J]\s*[).:]\s*$/.test(first.value)) {
    const rest = { from: range.from + 1, to: range.to };
    return { kind: 'choice', letter: choiceLetter(first.value) ?? '', rest: parsePart(tokens, rest, depth + 1) };
  }
  return null;
}

function parseList(tokens: Tokens, range: Range, depth: number): Value | null {
  const { parts, separators } = splitAt(
    tokens,
    range,
    (token) => token.type === 'separator' && SEPARATORS.has(token.value),
  );
  if (parts.length === 1) return null;
  const items: Value[] = [];
  let joined: 'or' | 'and' | null = null;
  for (const [index, part] of parts.entries()) {
    const word = separators[index - 1]?.value;
    if (word === 'or' || word === 'and') {
      if (joined !== null && joined !== word) throw new ParseError('"and" and "or" are mixed');
      joined = word;
    }
    // "3, 5, and 7": between the comma and the word there is nothing.
    const next = separators[index]?.value;
    if (part.from >= part.to && word === ',' && (next === 'and' || next === 'or')) continue;
    items.push(parsePart(tokens, part, depth + 1));
  }
  return { kind: 'list', items, joined };
}

function parseChain(tokens: Tokens, range: Range, depth: number): Value | null {
  const { parts, separators } = splitAt(tokens, range, (token) => token.type === 'relation');
  if (parts.length === 1) return null;
  // √2 ≈ 1.414: an exact answer, and how large it is.
  const approximate = separators.findIndex(({ value }) => value === '≈');
  if (approximate >= 0) return parsePart(tokens, { from: range.from, to: (parts[approximate] as Range).to }, depth + 1);
  const relations: Relation[] = [];
  const sides: Range[] = [];
  for (const [index, part] of parts.entries()) {
    const empty = part.from >= part.to;
    const sign = separators[index]?.value;
    // `\not=` and `\not\in` are two tokens.
    if (sign === 'not' || (empty && separators[index - 1]?.value === 'not')) {
      if (sign === 'not') {
        const after = parts[index + 1];
        if (separators[index + 1]?.value !== '=' || after === undefined || after.from < after.to) {
          throw new ParseError('a relation is negated');
        }
        sides.push(part);
        relations.push('!=');
      }
      continue;
    }
    sides.push(part);
    if (sign !== undefined) relations.push(sign as Relation);
  }
  const named = relations[0] === '=' || relations[0] === 'in';
  const values = sides.map((part, index) => side(tokens, part, depth, index === 0 && named));
  return { kind: 'chain', parts: values, relations };
}

/** One side of a relation; the left one may be a phrase that names the quantity. */
function side(tokens: Tokens, range: Range, depth: number, first: boolean): Value {
  const applied = first ? functionName(tokens, range) : null;
  if (applied !== null) return applied;
  try {
    return parsePart(tokens, range, depth + 1);
  } catch (error) {
    if (!(error instanceof ParseError) || !first) throw error;
    const name = nameOf(tokens, range);
    if (name === null) throw error;
    return name;
  }
}

/** `f(x)`, `P(5)`, `f^{-1}(x)`, `a(m, n)` as the name of a value: the letter is no factor there. */
function functionName(tokens: Tokens, range: Range): Value | null {
  const [name, second] = [tokens.list[range.from], tokens.list[range.from + 1]];
  if (name?.type !== 'name' || 'xyz'.includes(name.value) || second === undefined) return null;
  let at = range.from + 1;
  if (second.value === '^' && tokens.list[at + 1]?.value === '{') at = (tokens.closing.get(at + 1) ?? at) + 1;
  const close = tokens.closing.get(at);
  if (tokens.list[at]?.value !== '(' || close !== range.to - 1) return null;
  const { parts } = splitAt(tokens, { from: at + 1, to: close }, ({ value }) => value === ',');
  if (parts.some((part) => part.to - part.from !== 1)) return null;
  return foldText(
    tokens.list
      .slice(range.from, range.to)
      .map(({ value }) => value)
      .join(' '),
  );
}

/** `\text{Area}`, `f(2)`, `AB`, `\angle ABC`, `m\angle A`: names of a quantity that are not formulas. */
function nameOf(tokens: Tokens, range: Range): Value | null {
  const parts = tokens.list.slice(range.from, range.to);
  if (parts.length === 0 || parts.length > 24) return null;
  if (
    parts.some(
      ({ type }) => !['text', 'word', 'name', 'command', 'constant', 'open', 'close', 'separator'].includes(type),
    )
  )
    return null;
  if (parts.some(({ type, value }) => type === 'command' && value !== 'figure')) return null;
  if (!parts.some(({ type, value }) => type === 'text' || type === 'word' || value === 'figure')) return null;
  return foldText(parts.map(({ value }) => value).join(' '));
}

function parseUnion(tokens: Tokens, range: Range, depth: number): Value | null {
  const isUnion = (token: Token, index: number): boolean => {
    if (token.type === 'set') return true;
    const before = tokens.list[index - 1];
    const after = tokens.list[index + 1];
    return token.type === 'name' && token.value === 'U' && before?.type === 'close' && after?.type === 'open';
  };
  const { parts, separators } = splitAt(tokens, range, isUnion);
  if (parts.length === 1) return null;
  const values = parts.map((part) => parsePart(tokens, part, depth + 1));
  const removed: Value[] = [];
  const kept: Value[] = [values[0] as Value];
  for (const [index, token] of separators.entries()) {
    const value = values[index + 1] as Value;
    if (token.value === 'intersection') throw new ParseError('an intersection is not worked out');
    if (token.value === 'minus') removed.push(value);
    else if (removed.length > 0) throw new ParseError('a union after a difference needs brackets');
    else kept.push(value);
  }
  return { kind: 'union', parts: kept, removed };
}

function parseBracket(tokens: Tokens, range: Range, depth: number): Value | null {
  const bracket = enclosed(tokens, range);
  if (bracket === null) return null;
  const { open, close, inner } = bracket;
  const isSet = open === '\\{';
  if (inner.from >= inner.to) return isSet ? { kind: 'named', name: 'empty' } : null;
  if (isSet) {
    const { parts } = splitAt(
      tokens,
      inner,
      (token) => token.type === 'bar' || (token.type === 'operator' && token.value === ':'),
    );
    if (parts.length > 1) return builder(tokens, parts, depth);
    const content = parsePart(tokens, inner, depth + 1);
    return { kind: 'set', items: content.kind === 'list' ? content.items : [content] };
  }
  if (!'([{⟨'.includes(open)) return null;
  const { parts } = splitAt(
    tokens,
    inner,
    (token) => token.type === 'separator' && (token.value === ',' || token.value === ';'),
  );
  if (parts.length === 1) {
    const matrix = open === '[' && tokens.list[inner.from]?.type === 'begin';
    if (open === '{' || matrix || (open === '(' && close === ')')) return nestedBracket(tokens, inner, depth);
    return null;
  }
  const items = parts.map((part) => parsePart(tokens, part, depth + 1));
  if (open === '{') return { kind: 'set', items };
  return { kind: 'tuple', open: open as Bracket, close: close as Bracket, items };
}

/** `\{x \mid x > 2\}` */
function builder(tokens: Tokens, parts: readonly Range[], depth: number): Value {
  const [element, condition] = parts;
  if (element === undefined || condition === undefined || parts.length > 2)
    throw new ParseError('a set has two conditions');
  return {
    kind: 'builder',
    element: parsePart(tokens, element, depth + 1),
    condition: parsePart(tokens, condition, depth + 1),
  };
}

/** `((1,2))`, `({3})`, `(\text{C})`: superfluous brackets around something that is not a scalar; null otherwise. */
function nestedBracket(tokens: Tokens, inner: Range, depth: number): Value | null {
  const token = tokens.list[inner.from] as Token;
  if (inner.to - inner.from === 1 && token.type === 'text') return single(token);
  if (inner.to - inner.from === 1 && token.type === 'name' && /^[A-J]$/.test(token.value) && depth === 0) {
    return { kind: 'choice', letter: token.value, rest: null };
  }
  const { parts } = splitAt(tokens, inner, ({ type }) => type === 'set' || type === 'relation');
  if (parts.length === 1 && enclosed(tokens, inner) === null && token.type !== 'begin') return null;
  return parsePart(tokens, inner, depth + 1);
}

/** `3:4`, `1:2:3`; `12:05` is a time as well. */
function parseRatio(tokens: Tokens, range: Range): Value | null {
  const { parts } = splitAt(tokens, range, (token) => token.type === 'operator' && token.value === ':');
  if (parts.length === 1) return null;
  const expressions = parts.map((part) => parseExpression(tokens, part));
  const raw = tokens.list
    .slice(range.from, range.to)
    .map(({ value }) => value)
    .join('');
  return { kind: 'ratio', parts: expressions, clock: /^\d{1,2}:[0-5]\d(:[0-5]\d)?$/.test(raw) };
}
