import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseConfig, readConfigFile, runNameFor, withSeed } from '../../src/cli/config-file.ts';
import { jsonErrorAt } from '../../src/cli/json-error.ts';

describe('a configuration file', () => {
  it('is a JSON object', () => {
    expect(parseConfig('{"seed": 2}', 'a.json')).toEqual({ seed: 2 });
    expect(() => parseConfig('[1]', 'a.json')).toThrow('a.json: a configuration is one JSON object.');
  });

  it('takes another seed where one is asked for', () => {
    expect(withSeed({ seed: 2, salt: 'a' }, 7)).toEqual({ seed: 7, salt: 'a' });
    expect(withSeed({ seed: 2 }, undefined)).toEqual({ seed: 2 });
    expect(withSeed({}, 0)).toEqual({ seed: 0 });
  });

  it('that is not there is named', () => {
    expect(() => readConfigFile('no/such.json')).toThrow('There is no file no/such.json.');
  });

  it.each([
    ['{"a": 1,}', '1:9', 'a field name in double quotes should be, not "}"'],
    ['{\n  "a": x\n}', '2:8', 'a value should be, not "x"'],
    ['{\n  "a": 1\n  "b": 2\n}', '3:3', '"," or "}" should be, not "\\""'],
    ["{'a': 1}", '1:2', 'a field name in double quotes should be, not "\'"'],
    ['{"a": [1, 2', '1:12', 'the file ends where "," or "]" should be'],
    ['{"a": "b\n"}', '1:9', 'the string should go on or end with a double quote, not "\\n"'],
    ['{} {}', '1:4', 'the end of the file should be, not "{"'],
    ['', '1:1', 'the file ends where a value should be'],
  ])('with a mistake is told where: %j', (text, position, message) => {
    expect(() => parseConfig(text, 'a.json')).toThrow(`a.json:${position}: ${message}`);
  });

  it('has an error position exactly when JSON.parse fails', () => {
    const valid = (text: string) => {
      try {
        JSON.parse(text);
        return true;
      } catch {
        return false;
      }
    };
    const damaged = fc
      .tuple(fc.json(), fc.nat(), fc.constantFrom('', ',', '}', '"', '\\', '\n', '0', 'e', ']', '\u0001'))
      .map(([text, at, piece]) => {
        const cut = at % (text.length + 1);
        return text.slice(0, cut) + piece + text.slice(cut + 1);
      });
    fc.assert(fc.property(fc.oneof(fc.json(), damaged), (text) => (jsonErrorAt(text) === null) === valid(text)));
  });

  it('names the run, unless another name is asked for', () => {
    expect(runNameFor({ run: 'a' }, 'x/b.json', undefined)).toBe('a');
    expect(runNameFor({}, 'x/b.json', undefined)).toBe('b');
    expect(runNameFor({ run: 'a' }, 'x/b.json', 'c')).toBe('c');
  });
});
