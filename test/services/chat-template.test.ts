import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { Message } from '../../src/core/problem.ts';
import { createRenderer, tokenizerRenderer } from '../../src/services/renderer/tokenizer.ts';

const chatml = 'test/fixtures/chat/chatml';
const llama3 = 'test/fixtures/chat/llama3';
const question: Message = { role: 'user', content: 'What is 7 + 21?' };

interface Golden {
  what: string;
  messages: Message[];
  text: string;
  tokens: number[];
}

/** What `apply_chat_template` of transformers 5.23 makes of each conversation (its date set to ours). */
const golden = (folder: string): [string, Golden][] =>
  (JSON.parse(readFileSync(join(folder, 'golden.json'), 'utf8')) as Golden[]).map((row) => [row.what, row]);

const scratch = mkdtempSync(join(tmpdir(), 'astroflow-chat-'));
afterAll(() => rmSync(scratch, { recursive: true }));

/** A copy of a model folder with some files changed; null takes one away. */
function changed(folder: string, files: Record<string, object | string | null>): string {
  const copy = mkdtempSync(join(scratch, 'model-'));
  cpSync(folder, copy, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    if (content === null) rmSync(join(copy, name));
    else writeFileSync(join(copy, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return copy;
}

const configOf = (folder: string) =>
  JSON.parse(readFileSync(join(folder, 'tokenizer_config.json'), 'utf8')) as Record<string, unknown>;

describe.each([chatml, llama3])("the chat template of %s's folder", (folder) => {
  const renderer = tokenizerRenderer(folder, 'chat');

  it.each(golden(folder))('renders %s as transformers does, text and ids', (_what, { messages, text, tokens }) => {
    expect(renderer.prompt(messages)).toEqual({ text, tokens });
    expect(renderer.decode(tokens, { special: true })).toBe(text);
  });

  it('never lets a message write a control token', () => {
    const control = ['<|im_end|>', '<|im_start|>', '<|eot_id|>', '<|begin_of_text|>', '<|endoftext|>'];
    const piece = fc.oneof(fc.constantFrom(...control, '<', '|', '<|im_', 'end|>'), fc.string());
    const ids = new Set(control.flatMap((text) => idOf(folder, text)));
    const count = (tokens: number[]) => tokens.filter((token) => ids.has(token)).length;
    const clean = count(renderer.prompt([question]).tokens);
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        const content = pieces.join('');
        expect(count(renderer.prompt([{ role: 'user', content }]).tokens)).toBe(clean);
        expect(count(renderer.encode(content))).toBe(0);
      }),
    );
  });

  it('gives the tokens of what follows a prompt their text back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        fc.pre(!text.includes('<|'));
        expect(renderer.decode(renderer.encode(text))).toBe(text);
      }),
    );
  });
});

function idOf(folder: string, text: string): number[] {
  const { added_tokens } = JSON.parse(readFileSync(join(folder, 'tokenizer.json'), 'utf8')) as {
    added_tokens: { content: string; id: number }[];
  };
  return added_tokens.filter(({ content }) => content === text).map(({ id }) => id);
}

describe('a chat template', () => {
  it('shows what broken control tokens look like', () => {
    const { text } = tokenizerRenderer(chatml, 'chat').prompt([{ role: 'user', content: 'a<|im_end|>b <think>c' }]);
    expect(text).toContain('a< |im_end|>b <think>c<|im_end|>');
  });

  it('ends answers with the token that it puts behind them, not with the end of all texts', () => {
    expect(tokenizerRenderer(chatml, 'chat').eosToken).toBe(idOf(chatml, '<|im_end|>')[0]);
    expect(tokenizerRenderer(llama3, 'chat').eosToken).toBe(idOf(llama3, '<|eot_id|>')[0]);
    expect(tokenizerRenderer(chatml, 'plain').eosToken).toBe(idOf(chatml, '<|endoftext|>')[0]);
    const bare = changed(llama3, {
      'chat_template.jinja': '{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}',
    });
    expect(tokenizerRenderer(bare, 'chat').eosToken).toBe(idOf(llama3, '<|end_of_text|>')[0]);
  });

  it('keeps white space at the end of an answer that goes on, where the template would trim it', () => {
    const answer: Message = { role: 'assistant', content: 'Let us see.\n\n' };
    expect(tokenizerRenderer(llama3, 'chat').prompt([question, answer]).text).toMatch(
      /<\|end_header_id\|>\n\nLet us see\.\n\n$/,
    );
  });

  it('is the same on every day', () => {
    const source = "{{ strftime_now('%Y-%m-%d %A') }}, {{ date_string }}: {{ messages[0].content }}";
    const dated = changed(chatml, { 'chat_template.jinja': source });
    expect(tokenizerRenderer(dated, 'chat').prompt([question]).text).toBe(
      '2024-07-26 Friday, 26 Jul 2024: What is 7 + 21?',
    );
  });

  it('is read from the file first, then from the configuration: a text, or the default of a list', () => {
    const config = configOf(chatml);
    const prompt = (files: Record<string, object | string | null>) =>
      tokenizerRenderer(changed(chatml, files), 'chat').prompt([question]).text;
    expect(prompt({ 'tokenizer_config.json': { ...config, chat_template: 'text {{ messages[0].content }}' } })).toBe(
      'text What is 7 + 21?',
    );
    expect(prompt({ 'chat_template.jinja': 'file {{ messages[0].content }}' })).toBe('file What is 7 + 21?');
  });

  it('is part of the hash, and only where it is used', () => {
    const other = changed(llama3, { 'chat_template.jinja': 'other' });
    const hash = (folder: string, kind: 'plain' | 'chat') => tokenizerRenderer(folder, kind).hash;
    expect(hash(other, 'chat')).not.toBe(hash(llama3, 'chat'));
    expect(hash(other, 'plain')).toBe(hash(llama3, 'plain'));
    expect(hash(llama3, 'plain')).not.toBe(hash(llama3, 'chat'));
  });

  it('says what to do where there is none, or one that cannot be used', () => {
    const none = changed(llama3, { 'chat_template.jinja': null });
    expect(() => tokenizerRenderer(none, 'chat')).toThrow(/no chat template .*add chat_template\.jinja .*"plain"/);
    const unnamed = changed(chatml, {
      'tokenizer_config.json': { ...configOf(chatml), chat_template: [{ name: 'rag', template: 'x' }] },
    });
    expect(() => tokenizerRenderer(unnamed, 'chat')).toThrow(/no chat template/);
    const broken = changed(llama3, { 'chat_template.jinja': '{% if %}' });
    expect(() => tokenizerRenderer(broken, 'chat')).toThrow(/cannot be parsed/);
    const twice = () => tokenizerRenderer(llama3, 'chat').prompt([question, question]);
    expect(twice).toThrow(/refuses the messages of user,user: user and assistant take turns/);
    expect(() => createRenderer('bytes', 'chat')).toThrow(/"bytes" has no chat template/);
    expect(createRenderer(resolve(llama3), 'chat').bos).toBe('<|begin_of_text|>');
  });
});

describe('the bytes renderer', () => {
  const renderer = createRenderer('bytes', 'plain');

  it('writes a text as its UTF-8 bytes', () => {
    expect(renderer.prompt([question, { role: 'assistant', content: ' é' }])).toEqual({
      text: 'What is 7 + 21? é',
      tokens: [...Buffer.from('What is 7 + 21? é')],
    });
    expect(renderer.eosToken).toBe(256);
    expect(renderer.decode([104, 105, 256])).toBe('hi');
  });

  it('loses nothing of a text or of any bytes, wherever they are cut', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.nat(), (text, at) => {
        const tokens = renderer.encode(text);
        expect(renderer.decode(tokens)).toBe(text);
        const cut = at % (tokens.length + 1);
        const halves = renderer.decode(tokens.slice(0, cut)) + renderer.decode(tokens.slice(cut));
        expect(renderer.encode(halves)).toEqual(tokens);
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(renderer.encode(renderer.decode([...bytes]))).toEqual([...bytes]);
      }),
    );
  });
});
