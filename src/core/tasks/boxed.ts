/** One `opener…}` with its balanced content; `start` is the opener's first character, `end` follows the last brace. */
export interface Box {
  start: number;
  end: number;
  content: string;
}

/**
 * The last box of a text, braces balanced. Null when there is none or when the last one is not closed: an answer that
 * was cut off is not replaced by an earlier one. `opener` ends in the brace, e.g. `boxed{`. Linear in the text.
 */
export function lastBox(text: string, opener: string): Box | null {
  const start = text.lastIndexOf(opener);
  if (start < 0) return null;
  const from = start + opener.length;
  let depth = 1;
  for (let i = from; i < text.length; i++) {
    if (text[i] === '{') depth += 1;
    else if (text[i] === '}') depth -= 1;
    if (depth === 0) return { start, end: i + 1, content: text.slice(from, i) };
  }
  return null;
}
