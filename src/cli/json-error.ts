/**
 * Where a text stops being JSON, and why; null if it is JSON. `JSON.parse` gives a position only for some mistakes, and
 * a person who edits a configuration needs it for all.
 */
export function jsonErrorAt(text: string): { offset: number; message: string } | null {
  let at = 0;

  class Stop extends Error {}
  const fail = (message: string): never => {
    throw new Stop(
      at >= text.length ? `the file ends where ${message}` : `${message}, not ${JSON.stringify(text[at])}`,
    );
  };
  const space = () => {
    while (/[ \t\r\n]/.test(text[at] ?? '')) at++;
  };
  const token = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match === null) return false;
    at += match[0].length;
    return true;
  };

  const value = (): void => {
    space();
    if (text[at] === '{') list('}', member);
    else if (text[at] === '[') list(']', value);
    else if (text[at] === '"') string();
    else if (!token(/-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y)) fail('a value should be');
  };
  const member = (): void => {
    if (text[at] !== '"') fail('a field name in double quotes should be');
    string();
    space();
    if (text[at] !== ':') fail('":" should be');
    at++;
    value();
  };
  const string = (): void => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids exactly these in strings
    if (!token(/"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y)) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: as above, up to the character that is wrong
      token(/"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*/y);
      fail('the string should go on or end with a double quote');
    }
  };
  const list = (close: string, item: () => void): void => {
    at++;
    space();
    if (text[at] === close) {
      at++;
      return;
    }
    for (;;) {
      space();
      item();
      space();
      if (text[at] === close) {
        at++;
        return;
      }
      if (text[at] !== ',') fail(`"," or "${close}" should be`);
      at++;
    }
  };

  try {
    value();
    space();
    if (at < text.length) fail('the end of the file should be');
    return null;
  } catch (error) {
    if (error instanceof Stop) return { offset: at, message: error.message };
    throw error;
  }
}
