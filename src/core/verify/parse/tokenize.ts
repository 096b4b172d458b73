import { LimitError, MAX_DIGITS, MAX_TOKENS, ParseError } from '../limits.ts';
import { closingBrace } from './characters.ts';
import { commandToken, delimiterToken, wordToken } from './commands.ts';
import { type Numeral, readNumeral } from './numeral.ts';
import { parseUnit } from './units.ts';
import * as words from './vocabulary.ts';

export type TokenType =
  | 'number'
  | 'name'
  | 'word'
  | 'text'
  | 'function'
  | 'constant'
  | 'command'
  | 'operator'
  | 'relation'
  | 'separator'
  | 'set'
  | 'open'
  | 'close'
  | 'bar'
  | 'cell'
  | 'row'
  | 'begin'
  | 'end'
  | 'money'
  | 'dots';

/** One sign, number, name or text. `spaced`: white space stood before it. */
export interface Token {
  type: TokenType;
  value: string;
  spaced: boolean;
  numeral?: Numeral;
}

/** `\mathrm{(B)}` before what the choice stands for. */
const CHOICE = /^\s?\{\s?\([A-J]\)\s?\}/;
const OPENING = '([{';
const CLOSING = ')]}';

/**
 * The tokens of a text in LaTeX, plain notation, or a mixture. One pass; layout is gone, `\frac12` is still two digits
 * of one number.
 * @throws ParseError for an unknown command or sign, and beyond the caps
 */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let i = 0;
  /** Brackets other than `{}`: inside them a comma separates, outside it may group thousands. */
  let depth = 0;
  let spaced = false;

  const push = (type: TokenType, value: string, extra?: Partial<Token>): void => {
    if (tokens.length >= MAX_TOKENS) throw new LimitError(`it has more than ${MAX_TOKENS} tokens`);
    tokens.push({ type, value, spaced, ...extra });
    spaced = false;
    if (type === 'open' && value !== '{') depth += 1;
    if (type === 'close' && value !== '}') depth -= 1;
  };

  while (i < text.length) {
    const character = text[i] as string;
    if (isSpace(character) || character === '~') {
      spaced = true;
      i += 1;
    } else if (
      isDigit(character) ||
      (character === '.' && (isDigit(text[i + 1]) || text.startsWith('\\overline', i + 1)))
    ) {
      const numeral = readNumeral(text, i, depth > 0);
      if (numeral.whole.length + numeral.decimals.length > MAX_DIGITS) throw new LimitError('a number is too long');
      push('number', text.slice(i, numeral.end), { numeral });
      i = numeral.end;
    } else if (isLetter(character)) {
      const end = endOf(text, i, isLetter);
      if (isProduct(text, i, end)) for (const letter of text.slice(i, end)) push('name', letter);
      else pushWord(text.slice(i, end));
      i = end;
    } else if (character === '\\') {
      i = command(i);
    } else {
      i = sign(character, i);
    }
  }
  return tokens;

  function pushWord(word: string): void {
    push(...wordToken(word));
  }

  function sign(character: string, at: number): number {
    const two = text.slice(at, at + 2);
    if (character === '{' && /^\{\s*[:=<>]\s*\}/.test(text.slice(at, at + 5))) {
      // {:} only keeps TeX from spacing the sign as a relation.
      return at + 1;
    }
    if (
      character === '}' &&
      /[:=<>]\s*$/.test(text.slice(Math.max(0, at - 3), at)) &&
      /\{\s*[:=<>]\s*$/.test(text.slice(Math.max(0, at - 4), at))
    ) {
      return at + 1;
    }
    if (OPENING.includes(character)) push('open', character);
    else if (CLOSING.includes(character)) push('close', character);
    else if (two === '**') {
      push('operator', '^');
      return at + 2;
    } else if (two === '<=' || two === '>=' || two === '!=' || two === '==' || two === ':=') {
      push('relation', two === '==' || two === ':=' ? '=' : two);
      return at + 2;
    } else if ("+-*/^_!%'".includes(character)) push('operator', character);
    else if ('=<>'.includes(character)) push('relation', character);
    else if (character === ',' || character === ';') push('separator', character);
    else if (character === ':') push('operator', ':');
    else if (character === '|') push('bar', '|');
    else if (character === '&') push('cell', '&');
    else if (character === '$') {
      // A pair delimits a formula; a single one is money.
      if (text.indexOf('$') === text.lastIndexOf('$')) push('money', 'dollar');
      else spaced = true;
    } else if (character === '"' || character === '`') {
      spaced = true;
    } else if (character === '.' && (text.slice(at, at + 3) === '...' || text[at + 1] === '.')) {
      push('dots', '...');
      return endOf(text, at, (c) => c === '.');
    } else if (character === '.' && isLetter(text[at - 1] ?? '')) push('operator', '.');
    else throw new ParseError(`it has the sign "${character}"`);
    return at + 1;
  }

  /** Reads the command at `at`, gives the position after it. */
  function command(at: number): number {
    const next = text[at + 1] ?? '';
    if (!isLetter(next)) return symbol(next, at + 2);
    const end = endOf(text, at + 1, isLetter);
    const name = text.slice(at + 1, end);
    if (words.SIZES.has(name)) return delimiter(name, end);
    if (words.IGNORED.has(name)) {
      spaced = true;
      return end;
    }
    if (words.TEXTS.has(name)) {
      const [content, after] = argument(end);
      if (content.trim() === '') spaced = true;
      else pushText(content);
      return after;
    }
    if (name === 'mathrm' || name === 'operatorname' || name === 'mathop') return upright(end);
    if (name === 'mathbb' || name === 'Bbb') {
      const [content, after] = argument(end);
      push('name', `set ${content.trim()}`);
      return after;
    }
    if (words.TRANSPARENT.has(name)) return CHOICE.test(text.slice(end, end + 12)) ? upright(end) : end;
    if (name === 'color' || name === 'textcolor') return argument(end)[1];
    if (['tag', 'label', 'hspace', 'vspace', 'phantom', 'hphantom', 'vphantom'].includes(name)) return argument(end)[1];
    if (words.ACCENTS.has(name)) {
      const [content, after] = argument(end);
      push('name', `${name} ${content.replace(/\s+/g, '')}`);
      return after;
    }
    if (name === 'begin' || name === 'end') {
      const [content, after] = argument(end);
      push(name, content.trim().replace('*', ''));
      return name === 'begin' && content.startsWith('array') ? argument(after)[1] : after;
    }
    if (name === 'not') {
      push('relation', 'not');
      return end;
    }
    const token = commandToken(name);
    if (token === null) throw new ParseError(`it uses \\${name.slice(0, 40)}, which this checker does not read`);
    push(...token);
    return end;
  }

  /** `\,` and its like, `\{`, `\\`. */
  function symbol(next: string, after: number): number {
    if (',;:! >/-~'.includes(next) || next === '\n' || next === '\t') {
      spaced = spaced || next !== '!';
    } else if (next === '{' || next === '}') push(...delimiterToken(`\\${next}`));
    else if (next === '%') push('operator', '%');
    else if (next === '$') push('money', 'dollar');
    else if (next === '|') push('bar', '‖');
    else if (next === '\\') {
      push('row', '\\\\');
      // An optional extra distance: \\[2pt]
      if (text[after] === '[' && /^\[\s*-?[\d.]+\s*(pt|em|ex|mm|cm)\s*\]/.test(text.slice(after, after + 20))) {
        return text.indexOf(']', after) + 1;
      }
    } else if (next === '(' || next === ')' || next === '[' || next === ']') spaced = true;
    else throw new ParseError(`it has the sign "\\${next}"`);
    return after;
  }

  function delimiter(size: string, at: number): number {
    const from = endOf(text, at, isSpace);
    const next = text[from];
    if (next === '.') return from + 1;
    const closing = size === 'right' || size.endsWith('r');
    const bar = next === '|' ? 1 : text.startsWith('\\vert', from) ? 5 : 0;
    if (bar > 0 && (size === 'left' || size.endsWith('l') || closing)) {
      push(closing ? 'close' : 'open', closing ? 'rbar' : 'lbar');
      return from + bar;
    }
    return from;
  }

  function upright(at: number): number {
    const [content, after] = argument(at);
    const name = content.replace(/\\[,;:! ]|~/g, ' ').trim();
    if (/^[A-Za-z]+$/.test(name)) {
      if (name.length > 1 && !words.FUNCTIONS.has(name) && name.toLowerCase() !== 'pi') pushText(name);
      else if (name.length === 1 && name !== 'e' && name !== 'i') push('name', name, { value: name });
      else pushWord(name);
      return after;
    }
    if (/^[A-Za-z][A-Za-z ./]*$/.test(name) || CHOICE.test(`{${name}}`) || isUnit(name)) {
      pushText(name);
      return after;
    }
    return at;
  }

  function pushText(content: string): void {
    const plain = content.trim().toLowerCase();
    if (plain === 'or' || plain === 'and' || plain === ',') push('separator', plain);
    else if (plain === ':' || plain === '%' || plain === '\\%') push('operator', plain.slice(-1));
    else if (plain === '$' || plain === '\\$') push('money', 'dollar');
    else if (/^\d+(?:\.\d+)?$/.test(plain)) push('number', plain, { numeral: readNumeral(plain, 0, true) });
    else push('text', content);
  }

  /** The braced argument at `at`, or one character. */
  function argument(at: number): [content: string, after: number] {
    const from = endOf(text, at, isSpace);
    if (text[from] !== '{') return [text.slice(from, from + 1), Math.min(from + 1, text.length)];
    const close = closingBrace(text, from);
    if (close === null) throw new ParseError('a brace is not closed');
    return [text.slice(from + 1, close), close + 1];
  }
}

/** Short words that are products of letters where they touch the signs of a formula: `\frac12at^2`, `F=am`. */
function isProduct(text: string, from: number, to: number): boolean {
  if (to - from !== 2 || !/^(?:at|am|an|is|of|be|by|as)$/.test(text.slice(from, to))) return false;
  return /[\^_=+*]\s?$/.test(text.slice(Math.max(0, from - 2), from)) || /^\s?[\^_=+*]/.test(text.slice(to, to + 2));
}

/** `m s^{-1}`, `m/s^2`: more than a letter, all of it known. */
function isUnit(text: string): boolean {
  return /^[A-Za-z]+[\s^/]/.test(text) && parseUnit(text)?.known === true;
}

export function isDigit(character: string | undefined): boolean {
  return character !== undefined && character >= '0' && character <= '9';
}

function isSpace(character: string): boolean {
  return character === ' ' || character === '\n' || character === '\t' || character === '\r';
}

/** ASCII letters, and letters of other alphabets as they occur in words and names. */
function isLetter(character: string): boolean {
  if (character < '\u0080') return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z');
  return /\p{L}/u.test(character);
}

function endOf(text: string, from: number, test: (character: string) => boolean): number {
  let end = from;
  while (end < text.length && test(text[end] as string)) end += 1;
  return end;
}
