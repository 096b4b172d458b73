import { closingBrace, toAscii } from './characters.ts';
import { withoutLayout, withoutPhrase } from './phrases.ts';
import { fromPlainNotation } from './plain-notation.ts';

/** Layers of delimiters are few; a text of nothing but delimiters is not an answer. */
const MAX_LAYERS = 12;
const PAIRS: readonly (readonly [string, string])[] = [
  ['$$', '$$'],
  ['$', '$'],
  ['\\(', '\\)'],
  ['\\[', '\\]'],
  ['**', '**'],
  ['__', '__'],
  ['*', '*'],
  ['```', '```'],
  ['`', '`'],
  ['"', '"'],
];

/** Commands around a whole answer that show it otherwise. */
const WRAPPERS = [
  /^\\(?:boxed|fbox|underline|ensuremath|bm|boldsymbol|pmb)(?![A-Za-z])/,
  /^\\textcolor\s*\{[^{}]{1,30}\}/,
];

/**
 * What is left of an answer without the delimiters around it: `**$\boxed{73}$**.` → `73`. Spaces inside stay, and so
 * does everything that may carry meaning.
 */
export function unwrap(text: string): string {
  let rest = withoutDoubledEscapes(toAscii(text)).trim();
  for (let layer = 0; layer < MAX_LAYERS; layer++) {
    const next = peel(rest);
    if (next === rest) break;
    rest = next;
  }
  return fromPlainNotation(rest);
}

/** `\\\\frac12`, escaped once too often on its way through JSON: every backslash stands twice. */
function withoutDoubledEscapes(text: string): string {
  if (!/\\\\[A-Za-z({[]/.test(text) || text.replaceAll('\\\\', '').includes('\\')) return text;
  return /\\\\(?:[dt]?frac|left|sqrt|text|cdot|times|pi|infty|[lg]eq?|cup|in|pm|begin|binom|math|boxed|circ|[({[])/.test(
    text,
  )
    ? text.replaceAll('\\\\', '\\')
    : text;
}

function peel(text: string): string {
  const trimmed = text.replace(/(?:\\[,;:! ]|\\text\{[.,]?\}|\\q?quad|[.,;:~\s]|\\\\){1,20}$/, '').trim();
  // `5!` and a lone point keep theirs.
  const bare = trimmed.endsWith('\\') ? text.trim() : trimmed;
  const rest = withoutLayout(withoutPhrase(bare));
  if (rest !== bare) return rest.trim();
  if (bare.startsWith('=') && !bare.startsWith('==')) return bare.slice(1).trim();
  for (const command of WRAPPERS) {
    const inner = command.test(bare) ? wholeGroup(bare, (command.exec(bare)?.[0] ?? '').length) : null;
    if (inner !== null) return inner.trim();
  }
  const group = bare.startsWith('{') ? wholeGroup(bare, 0) : null;
  const coloured = group?.trim().startsWith('\\color') === true;
  if (group !== null && group.trim() !== '' && (coloured || !/[,;]|\\(?:over|choose)(?![a-z])/.test(group)))
    return group.trim();
  for (const [open, close] of PAIRS) {
    if (bare.length <= open.length + close.length || !bare.startsWith(open) || !bare.endsWith(close)) continue;
    const inner = bare.slice(open.length, -close.length);
    // `$a$ and $b$` is two formulas, `\[ \]` must not be half of `\\[2pt]`.
    if (inner.includes(open) || inner.includes(close) || inner.endsWith('\\')) continue;
    return inner.trim();
  }
  return bare;
}

/** The content of the braces at `from` if they close at the end of the text. */
export function wholeGroup(text: string, from: number): string | null {
  let at = from;
  while (text[at] === ' ') at += 1;
  if (text[at] !== '{') return null;
  return closingBrace(text, at) === text.length - 1 ? text.slice(at + 1, -1) : null;
}
