import { expandPlusMinus } from '../compare/plus-minus.ts';
import { AmbiguousError, LimitError, MAX_CHARACTERS, ParseError } from '../limits.ts';
import { fraction } from '../numbers/fraction.ts';
import { scalar, type Text, type Value } from '../values.ts';
import { matchBrackets, type Tokens } from './brackets.ts';
import { compoundMeasure } from './meanings.ts';
import { parseBasedText } from './parse-based.ts';
import { MAX_PART_DEPTH, parsePart } from './parse-part.ts';
import { withoutAnd } from './statements.ts';
import { choiceLetter, foldText, numberWord } from './text.ts';
import { tokenize } from './tokenize.ts';
import { parseUnit } from './units.ts';
import { unwrap, wholeGroup } from './unwrap.ts';

/** A text inside a text counts as so many brackets: each is read from its first character. */
export const TEXT_DEPTH = 10;

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

/** `depth` counts the texts and brackets around it. */
export function parseWhole(text: string, depth = 0): Value {
  if (depth > MAX_PART_DEPTH) throw new LimitError('texts are nested too deep');
  for (const command of ['\\text', '\\mbox', '\\textbf', '\\mathrm', '\\mathbf', '\\textit', '\\textrm', '\\mathit']) {
    if (!text.startsWith(`${command}{`) && !text.startsWith(`${command} {`)) continue;
    const inner = wholeGroup(text, command.length);
    if (inner === null) continue;
    const letter = choiceLetter(inner);
    // \mathrm{e} is the number.
    const constant = /^\\math/.test(command) && /^\s*[ei]\s*$/.test(inner);
    if (letter !== null && !constant) return { kind: 'choice', letter, rest: null };
    return parseWhole(unwrap(inner) || inner, depth + TEXT_DEPTH);
  }
  const based = parseBasedText(text);
  if (based !== null) return based;
  const bracketed = /^(?:\(([A-J])\)|([A-J](?=\))|[B-DF-HJ])[).]?|(?:option|choice)\s*\(?([A-J])\)?)$/i.exec(text);
  if (bracketed !== null) {
    const letter = bracketed[1] ?? bracketed[2] ?? bracketed[3] ?? '';
    // (a), like (x), may be a name in brackets.
    if (letter === letter.toUpperCase()) return { kind: 'choice', letter, rest: null };
  }
  const elaborated = /^(?:\(([A-J])\)|([A-J])[).:])\s+(?=[^\s(*/+^=<>!|,;-])(.+)$/s.exec(text);
  if (elaborated !== null) {
    const [, inBrackets, before, rest = ''] = elaborated;
    return { kind: 'choice', letter: inBrackets ?? before ?? '', rest: parseWhole(unwrap(rest), depth + TEXT_DEPTH) };
  }
  return parseTop(matchBrackets(tokenize(text)), text, depth);
}

function parseTop(tokens: Tokens, text: string, depth: number): Value {
  const measure = /^\d[^=(]{0,80}$/.test(text) && /\d\D+\d/.test(text) ? compoundMeasure(foldText(text)) : null;
  if (measure !== null) return measure;
  try {
    return withoutAnd(expandPlusMinus(parsePart(tokens, { from: 0, to: tokens.list.length }, depth)));
  } catch (error) {
    if (!(error instanceof ParseError) || error instanceof AmbiguousError) throw error;
    const words = plainText(tokens);
    if (words === null) throw error;
    const folded = foldText(text);
    if (folded.folded === '') throw error;
    const counted = countedNoun(folded);
    if (counted !== null) return counted;
    const letter = choiceLetter(text);
    return letter === null ? folded : { kind: 'choice', letter, rest: null };
  }
}

/** `two bolts`, `twenty-five` */
function countedNoun({ words }: Text): Value | null {
  const all = words.split(' ');
  for (const length of [2, 1]) {
    const amount = numberWord(all.slice(0, length).join(''));
    const noun = all.slice(length).join(' ');
    const unit = noun === '' ? null : parseUnit(noun);
    if (amount !== null && (noun === '' || unit !== null))
      return scalar({ kind: 'number', value: fraction(amount) }, unit);
  }
  return null;
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
