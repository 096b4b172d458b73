/** Text that is HTML already. Only `html` and `trusted` make it, so nothing reaches a page unescaped by accident. */
export interface Html {
  readonly markup: string;
}

type Part = Html | string | number | null | false | readonly Part[];

/** A template whose holes are escaped: `html` inside `html` stays markup, all else is text; null and false are nothing. */
export function html(strings: TemplateStringsArray, ...parts: Part[]): Html {
  let markup = strings[0] ?? '';
  parts.forEach((part, i) => {
    markup += markupOf(part) + (strings[i + 1] ?? '');
  });
  return { markup };
}

/** For markup that code of ours made: SVG of the figures, KaTeX. Never for text from outside. */
export const trusted = (markup: string): Html => ({ markup });

/** Safe in a text and inside a quoted attribute. Controls that no page may hold become a visible stand-in. */
export function escapeText(text: string): string {
  return (
    text
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not stand in a page
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/g, '\ufffd')
      .replace(/[&<>"'`]/g, (character) => `&#${character.charCodeAt(0)};`)
  );
}

function markupOf(part: Part): string {
  if (part === null || part === false) return '';
  if (typeof part === 'string') return escapeText(part);
  if (typeof part === 'number') return String(part);
  if ('markup' in part) return part.markup;
  return part.map(markupOf).join('');
}
