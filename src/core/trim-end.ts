/**
 * The text without the characters at its end that are in the list. A pattern such as `/[.\s]+$/` looks at a long run of
 * them in the middle of a model's text once for each of its characters.
 */
export function trimEndOf(text: string, characters: string): string {
  let end = text.length;
  while (end > 0 && characters.includes(text[end - 1] as string)) end -= 1;
  return text.slice(0, end);
}
