import { createHash } from 'node:crypto';
import type { Renderer } from './renderer.ts';

/** The id after the 256 bytes. */
const EOS = 256;

/**
 * A renderer without a vocabulary: UTF-8 bytes are the tokens. For models that are scripted, and for servers that take
 * and give text where nobody has the tokenizer. A byte that is no part of a whole character decodes to a lone
 * surrogate (U+DC80 … U+DCFF, as Python's "surrogateescape"), which `encode` turns back into that byte: no cut through
 * a character loses anything.
 */
export const bytesRenderer: Renderer = {
  prompt(messages) {
    const text = messages.map((message) => message.content).join('');
    return { tokens: encode(text), text };
  },
  encode,
  decode,
  eosToken: EOS,
  bos: null,
  hash: createHash('sha256').update('astroflow.bytes/1').digest('hex'),
};

function encode(text: string): number[] {
  const tokens: number[] = [];
  // Between escapes the text is ordinary; with the u flag half of a surrogate pair is no escape.
  for (const piece of text.split(/([\uDC80-\uDCFF])/u)) {
    const escaped = piece.length === 1 ? piece.charCodeAt(0) - 0xdc00 : 0;
    if (escaped >= 0x80 && escaped <= 0xff) tokens.push(escaped);
    else for (const byte of Buffer.from(piece, 'utf8')) tokens.push(byte);
  }
  return tokens;
}

function decode(tokens: readonly number[]): string {
  const bytes = Uint8Array.from(tokens.filter((token) => token < EOS));
  let text = '';
  let from = 0;
  for (let at = 0; at < bytes.length; ) {
    const length = characterLength(bytes, at);
    if (length > 0) {
      at += length;
      continue;
    }
    text += `${Buffer.from(bytes.subarray(from, at)).toString('utf8')}${String.fromCharCode(0xdc00 + (bytes[at] as number))}`;
    at += 1;
    from = at;
  }
  return text + Buffer.from(bytes.subarray(from)).toString('utf8');
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Bytes of the character that begins here, or 0 when none does. */
function characterLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] as number;
  if (first < 0x80) return 1;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  try {
    return strict.decode(bytes.subarray(at, at + length)).length > 0 ? length : 0;
  } catch {
    return 0;
  }
}
