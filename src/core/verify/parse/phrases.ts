/** What may stand before an answer: `The answer is`, `Final answer:`, `Therefore,`, `\therefore`. */
const PHRASE =
  /^(?:(?:so|thus|hence|therefore),?\s+)?(?:(?:the|our|my)\s+)?(?:(?:final|correct|required|desired)\s+)?(?:answer|option|choice|result|solution(?:\s+set)?|value)\s*(?:is\s*:?|[:=])\s*/i;
const CONNECTIVE =
  /^(?:(?:so|thus|hence|therefore)(?:\s*,\s*|\s+)|\\(?:therefore|Rightarrow|Longrightarrow|implies)(?![A-Za-z])|=>)\s*/i;
/** Only a decimal can be a rounding of something else. */
const ROUNDED = /^\\(?:approx|simeq)\s*(?=-?\d*\.\d)/;
const MARKS: readonly (readonly [string, string])[] = [
  ['**', '**'],
  ['__', '__'],
  ['\\text{', '}'],
  ['\\textbf{', '}'],
  ['\\mathbf{', '}'],
];

/** The answer without such a phrase, which must be all that stands before it; the same text without one. */
export function withoutPhrase(text: string): string {
  for (const [open, close] of MARKS) {
    const end = text.startsWith(open) ? text.indexOf(close, open.length) : -1;
    if (end < 0 || end > 60) continue;
    // **Answer:** 73 and **Answer**: 73
    const after = /^\s*:?\s*/.exec(text.slice(end + close.length))?.[0] ?? '';
    const rest = text.slice(end + close.length + after.length);
    const phrase = `${text.slice(open.length, end).trim()}${after.trim()}`;
    if (rest !== '' && phrase !== '' && `${phrase} `.replace(PHRASE, '') === '') return rest;
  }
  const rest = text.replace(PHRASE, '').replace(CONNECTIVE, '').replace(ROUNDED, '');
  return rest === '' ? text : rest;
}

const LAYOUT =
  /^(?:\\(?:displaystyle|textstyle|q?quad|normalsize|[lL]arge|[hH]uge|boldmath|noindent|centering|hfill)(?![A-Za-z])|\\color\s*\{[^{}]{1,30}\}|~|\\[,;:! ])\s*/;
const ENVIRONMENT =
  /^\\begin\{(align|alignat|aligned|equation|gather|gathered|split|displaymath|math|eqnarray|flalign|multline|cases)\*?\}(.*)\\end\{\1\*?\}$/s;

/** Layout before an answer, and environments that only arrange formulas: their lines are a chain or a list. */
export function withoutLayout(text: string): string {
  const rest = text.replace(LAYOUT, '');
  const [, name = '', content = ''] = ENVIRONMENT.exec(rest) ?? [];
  if (name === '') return /\\\\/.test(rest) && !/\\begin|\\substack/.test(rest) ? lines(rest) : rest;
  if (name === 'cases' && content.includes('&')) return rest;
  if (content.includes('\\begin')) return holdsOne(content) ? content : rest;
  return lines(content.replace(/(?<!\\)&/g, ' '));
}

/** One formula with a matrix in it: nothing is aligned or broken outside the matrix. */
function holdsOne(content: string): boolean {
  return content.length < 2_000 && !/&|\\\\/.test(content.replace(/\\begin\{(\w+)\}.*?\\end\{\1\}/gs, ''));
}

/** More lines than an answer has. */
const MAX_LINES = 40;

/** `x=1 \\ y=2` as a list; a line that begins with "=" goes on with the one before. */
function lines(text: string): string {
  const all = text.split('\\\\', MAX_LINES + 1).map((line) => line.trim());
  if (all.length > MAX_LINES) return text;
  const kept = all.filter((line) => line !== '');
  return kept.reduce(
    (before, line) => (before === '' ? line : `${before.replace(/,$/, '')}${line.startsWith('=') ? ' ' : ', '}${line}`),
    '',
  );
}
