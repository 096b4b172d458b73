import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { printable, saidBy, withoutSecret } from '../../src/core/foreign-text.ts';

describe('a text of a model or a server', () => {
  it('has a stand-in for what a terminal would obey', () => {
    expect(printable('a\u001b[2Jb')).toBe('a\ufffd[2Jb');
    expect(printable('\u001b]0;title\u0007')).toBe('\ufffd]0;title\ufffd');
    expect(printable('up\rover')).toBe('up\ufffdover');
    expect(printable('\u009b1A \u202eabc')).toBe('\ufffd1A \ufffdabc');
  });

  it('stays as it is otherwise: lines, tabs, any letters', () => {
    const text = 'x²\n\ty = ∑ 数学 🎉';
    expect(printable(text)).toBe(text);
  });

  it('never has a control character left, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
        expect(printable(text)).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
      }),
    );
  });

  it('loses the key that its writer was sent, as it is, escaped or in a URL', () => {
    const key = 'sk-"quoted"/+&';
    expect(withoutSecret(`got Bearer ${key}!`, key)).toBe('got Bearer (key)!');
    expect(withoutSecret(JSON.stringify({ key }), key)).toBe('{"key":"(key)"}');
    expect(withoutSecret(`http://h?key=${encodeURIComponent(key)}`, key)).toBe('http://h?key=(key)');
    expect(withoutSecret('none of the sort', 'none')).toBe('none of the sort');
    expect(withoutSecret('words', undefined)).toBe('words');
  });

  it('is cut short for a message', () => {
    expect(saidBy('x'.repeat(5000))).toHaveLength(1002);
  });
});
