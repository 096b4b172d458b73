import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import katex from 'katex';
import { escapeText, type Html, html, trusted } from './escape.ts';

/** A longer formula is shown as it was written: no reader needs it set, and setting it takes time. */
const MOST_FORMULA = 2000;

/**
 * `$$…$$`, `\[…\]`, `\(…\)`, `$…$` and a `\boxed{…}` of its own, whose braces may be nested twice. A single dollar is
 * money unless it stands as in Pandoc: no space inside, no digit behind.
 */
const FORMULA =
  /\$\$([^$]+?)\$\$|\\\[([\s\S]+?)\\\]|\\\(([\s\S]+?)\\\)|\$(?=\S)((?:\\[^\n]|[^$\\\n])+?)(?<=\S)\$(?!\d)|(\\boxed\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})/g;

/** Text with its formulas set by KaTeX, which is told to trust nothing: no links, no classes, no images. */
export function withMaths(text: string): Html {
  const parts: Html[] = [];
  let from = 0;
  for (const match of text.matchAll(FORMULA)) {
    const [whole, dollars, brackets, parentheses, dollar, box] = match;
    parts.push(html`${text.slice(from, match.index)}`);
    const tex = dollars ?? brackets ?? parentheses ?? dollar ?? box ?? '';
    parts.push(formula(tex, whole, (dollars ?? brackets) !== undefined));
    from = match.index + whole.length;
  }
  parts.push(html`${text.slice(from)}`);
  return html`${parts}`;
}

/** What cannot be set stands as it was written. */
function formula(tex: string, written: string, displayMode: boolean): Html {
  if (tex.length > MOST_FORMULA) return html`${written}`;
  try {
    return trusted(
      katex.renderToString(tex, {
        displayMode,
        trust: false,
        strict: 'ignore',
        maxSize: 20,
        maxExpand: 200,
        output: 'htmlAndMathml',
      }),
    );
  } catch {
    return trusted(escapeText(written));
  }
}

/** Font files by the classes that need them; the first is always needed. */
const fonts: readonly (readonly [file: string, classes: RegExp])[] = [
  ['Main-Regular', /katex/],
  ['Math-Italic', /mathnormal|mathit|textit/],
  ['Main-Italic', /mathit|textit/],
  ['Main-Bold', /mathbf|textbf/],
  ['Math-BoldItalic', /boldsymbol/],
  ['AMS-Regular', /amsrm|mathbb|textbb/],
  ['Caligraphic-Regular', /mathcal/],
  ['Fraktur-Regular', /mathfrak|textfrak/],
  ['SansSerif-Regular', /mathsf|textsf/],
  ['Script-Regular', /mathscr|textscr/],
  ['Typewriter-Regular', /mathtt|texttt/],
  ['Size1-Regular', /small-op|size1/],
  ['Size2-Regular', /large-op|size2/],
  ['Size3-Regular', /size3/],
  ['Size4-Regular', /size4/],
];

/** Formulas stand in texts whose spaces and lines are kept, on screens that may be narrower than they are. */
const placement = '.katex{white-space:normal}.katex-display{margin:.4em 0;overflow-x:auto;overflow-y:hidden}';

/** KaTeX's style sheet with the fonts that a page's formulas need, inside it; empty for a page without formulas. */
export function mathsStyles(markup: string): string {
  if (!markup.includes('class="katex')) return '';
  const used = [...new Set([...markup.matchAll(/class="([^"]*)"/g)].map((match) => match[1]))].join(' ');
  const folder = dirname(createRequire(import.meta.url).resolve('katex/dist/katex.min.css'));
  const sheet = readFileSync(join(folder, 'katex.min.css'), 'utf8');
  const withFonts = sheet.replace(/@font-face\{[^}]*\}/g, (rule) => {
    const file = /fonts\/KaTeX_([\w-]+)\.woff2/.exec(rule)?.[1] ?? '';
    if (!fonts.some(([name, classes]) => name === file && classes.test(used))) return '';
    const data = readFileSync(join(folder, 'fonts', `KaTeX_${file}.woff2`)).toString('base64');
    return rule.replace(/src:[^;}]*/, `src:url(data:font/woff2;base64,${data}) format("woff2")`);
  });
  return withFonts + placement;
}
