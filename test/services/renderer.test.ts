import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ServiceError } from '../../src/services/errors.ts';
import { tokenizerRenderer } from '../../src/services/renderer/tokenizer.ts';

const renderer = tokenizerRenderer('test/fixtures/tokenizer');

/** Made with `encode` of engine/base/countdown_corpus.py. */
const references: [string, number[]][] = [
  ['Use 4 9 3 to make 39\n', [13, 27, 4, 32, 4, 26, 14, 62, 3]],
  ['9*4=36 left 3 36 to make 39\n', [32, 7, 27, 9, 59, 15, 26, 4, 59, 14, 62, 3]],
  ['36-3=33 is not 39\n', [59, 6, 26, 9, 56, 17, 62, 3]],
  ['Wait go back to 3 36 to make 39\n', [19, 20, 26, 4, 59, 14, 62, 3]],
  ['Wait start over with 4 9 3 to make 39\n', [19, 21, 27, 4, 32, 4, 26, 14, 62, 3]],
  ['Looks right so far\n', [22, 3]],
  ['36+3=39 is 39\nAnswer boxed{(9*4)+3}', [59, 5, 26, 9, 62, 16, 62, 3, 18, 10, 32, 7, 27, 11, 5, 26, 12]],
];

describe('a tokenizer renderer', () => {
  it.each(references)('encodes %j as the training corpus does, and decodes it', (text, ids) => {
    expect(renderer.encode(text)).toEqual(ids);
    expect(renderer.decode(ids)).toBe(text);
  });

  it('keeps spaces and newlines of any text in the vocabulary', () => {
    const piece = fc.constantFrom(
      '\n',
      ' ',
      ' to make ',
      ' is not ',
      'Wait',
      ' go back to ',
      '(',
      ')',
      '*',
      '7',
      '199',
    );
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        const text = pieces.join('').replace(/\d{2,}/g, '12');
        expect(renderer.decode(renderer.encode(text))).toBe(text);
      }),
    );
  });

  it('joins the contents of messages without a template', () => {
    const { tokens, text } = renderer.prompt([
      { role: 'user', content: 'Use 4 9 3 to make 39\n' },
      { role: 'assistant', content: '9*4=36' },
    ]);
    expect(text).toBe('Use 4 9 3 to make 39\n9*4=36');
    expect(tokens).toEqual([13, 27, 4, 32, 4, 26, 14, 62, 3, 32, 7, 27, 9, 59]);
  });

  it('leaves special tokens out of decoded text', () => {
    expect(renderer.eosToken).toBe(1);
    expect(renderer.decode([12, renderer.eosToken])).toBe('}');
    expect(renderer.decode([])).toBe('');
  });

  it('names the text that the vocabulary lacks', () => {
    const encode = () => renderer.encode('Use 4 200 3 to make 39\n');
    expect(encode).toThrow(ServiceError);
    expect(encode).toThrow(/no token for "200" in "Use 4 200 3/);
  });

  it('identifies the vocabulary, not the folder', () => {
    expect(renderer.hash).toMatch(/^[0-9a-f]{64}$/);
    expect(tokenizerRenderer(join(process.cwd(), 'test/fixtures/tokenizer')).hash).toBe(renderer.hash);
  });

  it('says what is wrong with a folder', () => {
    expect(() => tokenizerRenderer('no/such/folder')).toThrow(/tokenizer\.json cannot be read; set policy\.tokenizer/);
    const folder = mkdtempSync(join(tmpdir(), 'astroflow-tokenizer-'));
    try {
      writeFileSync(join(folder, 'tokenizer.json'), '{}');
      writeFileSync(join(folder, 'tokenizer_config.json'), 'nonsense');
      expect(() => tokenizerRenderer(folder)).toThrow(/tokenizer_config\.json is not JSON/);
      writeFileSync(join(folder, 'tokenizer_config.json'), '{}');
      expect(() => tokenizerRenderer(folder)).toThrow(/tokenizer\.json cannot be loaded/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
