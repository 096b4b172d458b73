/** Texts that a model or a server wrote, on their way to people: errors, terminals, logs. */

/** Control characters but line ends and tabs, and those that turn the direction of a line around. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const unprintable = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/**
 * The text with a stand-in for every character that a terminal would obey. One may otherwise be made to overwrite what
 * stands above, or to answer.
 */
export function printable(text: string): string {
  return text.replace(unprintable, '\ufffd');
}

/** The text inside a line of Markdown: nothing of it becomes a link, an image, a heading or a cell. */
export function inMarkdown(text: string): string {
  return printable(text)
    .replace(/\s+/g, ' ')
    .replace(/[\\`*_[\]<>|~]/g, '\\$&');
}

/** The text as a block of Markdown that shows it letter by letter, whatever fences it has itself. */
export function asMarkdownBlock(text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}text\n${printable(text)}\n${fence}`;
}

/** Shorter ones (`none`, `EMPTY`) are no secrets, and words of ordinary texts. */
const shortestSecret = 8;

/** The text without a secret that its writer was given, in any of the forms that an echo may have. */
export function withoutSecret(text: string, secret: string | undefined): string {
  if (secret === undefined || secret.length < shortestSecret) return text;
  return [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)].reduce(
    (rest, form) => rest.replaceAll(form, '(key)'),
    text,
  );
}

/** Enough to know what is wrong; some servers answer with a page. */
const longestSaid = 1000;

/** What a server said, for a message: printable, not long, and without the key that it was sent. */
export function saidBy(text: string, secret?: string): string {
  const shown = printable(withoutSecret(text, secret));
  return shown.length > longestSaid ? `${shown.slice(0, longestSaid)} …` : shown;
}
