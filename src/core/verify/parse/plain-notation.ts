/** A name and its arguments in brackets, as computer algebra prints them. */
const CALL =
  /(?<![A-Za-z.\\])(Matrix|ImmutableMatrix|Interval(?:\.(?:open|Lopen|Ropen))?|Union|FiniteSet|Rational|Abs|Eq)\(/;
const CONSTANTS = /(?<![A-Za-z.\\])(?:S\.)?(EmptySet|Reals)(?![A-Za-z(])/g;
/** More calls than any answer has. */
const MAX_CALLS = 100;

/**
 * Writings of plain text and of computer algebra that differ from the usual ones, as those: `9*I`, `E**2`,
 * `Matrix([[1], [2]])`, `Interval.open(0, oo)`, `C(5, 2)`, `{}_5C_2`, `+/-`, `90^o`, `<1, 2, 3>`, the point `P(1, 2)`.
 */
export function fromPlainNotation(text: string): string {
  let result = text;
  if (!text.includes('\\') && /[A-Z]/.test(text)) result = withConstants(withoutCalls(result));
  if (result.includes('+/-')) result = result.replaceAll('+/-', '\\pm ');
  if (result.includes('C')) result = withBinomials(result);
  if (result.includes('^')) result = result.replace(/(?<=[\d)}]\s?)\^\s?(?:o(?![A-Za-z])|\{\s?o\s?\})/g, '^\\circ ');
  if (result.includes('>'))
    result = result.replace(/^([^<>=]{0,20}=\s*)?<([^<>=|]+,[^<>=|]+)>$/, '$1\\langle $2\\rangle');
  if (/^[ABD-Z]\s?\([^()]*,[^()]*\)$/.test(result)) result = result.slice(1);
  if (result.includes('mod')) result = result.replace(MODULUS, '\\pmod{$1}');
  if (/^US(?:D |\\?\$)/.test(result)) result = result.replace(/^US(?:D |\\?\$)\s*/, '\\$$');
  return result.includes('\\text{-}') ? result.replaceAll('\\text{-}', '-') : result;
}

/** I and E are constants only where nothing else is a capital: next to `*`, or in a sum of numbers. */
function withConstants(text: string): string {
  const arithmetic = /^[\d\s+*/().IE-]*$/.test(text) && /[+*/-]/.test(text);
  const starred = /(?:\*\s?[IE]|(?<![A-Za-z\d.])[IE]\s?\*)(?![A-Za-z\d])/.test(text);
  // In V = I*R it is a current.
  if ((!arithmetic && !starred) || /[A-DF-HJ-Z]/.test(text)) return text;
  return text.replace(/(?<![A-Za-z\d._])[IE](?![A-Za-z\d_(])/g, (letter) => letter.toLowerCase());
}

function withoutCalls(text: string): string {
  let result = text.replace(CONSTANTS, (_, name: string) => (name === 'Reals' ? '\\mathbb{R}' : '\\emptyset '));
  for (let count = 0; count < MAX_CALLS; count++) {
    const call = CALL.exec(result);
    if (call === null) return result;
    const from = call.index + call[0].length;
    const parts = argumentsAt(result, from);
    if (parts === null) return result;
    const written = inLatex(call[1] as string, parts.list);
    if (written === null) return result;
    result = result.slice(0, call.index) + written + result.slice(parts.end + 1);
  }
  return result;
}

/** The arguments of a call whose first one begins at `from`, and where its bracket closes. */
function argumentsAt(text: string, from: number): { list: string[]; end: number } | null {
  const list: string[] = [];
  let [depth, start] = [0, from];
  for (let i = from; i < text.length; i++) {
    const character = text[i] as string;
    if (depth === 0 && (character === ',' || character === ')')) {
      list.push(text.slice(start, i).trim());
      start = i + 1;
      if (character === ')') return { list, end: i };
    } else if ('([{'.includes(character)) depth += 1;
    else if (')]}'.includes(character)) depth -= 1;
  }
  return null;
}

function inLatex(name: string, list: readonly string[]): string | null {
  const [a = '', b = ''] = list;
  const two = list.length === 2;
  switch (name) {
    case 'Matrix':
    case 'ImmutableMatrix':
      return list.length === 1 ? a : null;
    case 'Union':
      return list.join('\\cup ');
    case 'FiniteSet':
      return `\\{${list.join(', ')}\\}`;
    case 'Rational':
      return two ? `((${a})/(${b}))` : null;
    case 'Abs':
      return list.length === 1 ? `abs(${a})` : null;
    case 'Eq':
      return two ? `${a}=${b}` : null;
    default: {
      const open = name.endsWith('.open') || name.endsWith('.Lopen') ? '(' : '[';
      const close = name.endsWith('.open') || name.endsWith('.Ropen') ? ')' : ']';
      return two ? `${open}${a}, ${b}${close}` : null;
    }
  }
}

const MODULUS = /\(\s?(?:\\bmod|\\mod|mod|\\text\{\s?mod\s?\})\s?([^(){}]{1,20})\)$/;
const CHOSEN = /(?<![A-Za-z\\_^'])C\(\s?([\w+-]{1,12})\s?,\s?([\w+-]{1,12})\s?\)/g;
const BETWEEN = /(?:\{\s?\}\s?)?[_^]\s?(?:\{(\w{1,6})\}|(\w))\s?C\s?_\s?(?:\{(\w{1,6})\}|(\w))/g;

/** C(5, 2) and {}_5C_2, where nothing stands before it that has the index. */
function withBinomials(text: string): string {
  return text
    .replace(CHOSEN, (_, n: string, k: string) => `\\binom{${n}}{${k}}`)
    .replace(BETWEEN, (whole, n1: string, n2: string, k1: string, k2: string, at: number) =>
      /[\w})\]]\s?$/.test(text.slice(Math.max(0, at - 2), at)) ? whole : `\\binom{${n1 ?? n2}}{${k1 ?? k2}}`,
    );
}
