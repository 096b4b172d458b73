import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** A key that payloads are encrypted with. Its id stands beside what it encrypted, the key nowhere. */
export interface CodecKey {
  id: string;
  /** 32 bytes. */
  key: Buffer;
}

export const keysVariable = 'ASTROFLOW_CODEC_KEYS';
export const keysFileVariable = 'ASTROFLOW_CODEC_KEYS_FILE';

const keyBytes = 32;
const idPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const base64 = /^[A-Za-z0-9+/]{43}=?$/;

/**
 * The keys of this process: `id:base64-of-32-bytes`, separated by commas or lines, in a variable or in a file. The first
 * encrypts, all decrypt; none where neither is set. What is wrong is told all at once, and never with a key in it: what
 * does not look like an id is not shown either, for it may be a key in the wrong place.
 */
export function readCodecKeys(env: NodeJS.ProcessEnv): { keys: CodecKey[]; problems: string[] } {
  const [list, file] = [env[keysVariable], env[keysFileVariable]];
  if (list && file)
    return { keys: [], problems: [`${keysVariable} and ${keysFileVariable} are both set: leave one out`] };
  if (list) return parseCodecKeys(list, keysVariable);
  if (!file) return { keys: [], problems: [] };
  try {
    return parseCodecKeys(readFileSync(file, 'utf8'), file);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'error';
    return { keys: [], problems: [`${keysFileVariable} names ${file}, which cannot be read (${code})`] };
  }
}

/** @param source for messages: where the text comes from */
export function parseCodecKeys(text: string, source: string): { keys: CodecKey[]; problems: string[] } {
  const keys: CodecKey[] = [];
  const problems: string[] = [];
  const entries = text.split(/[,\r\n]/).map((entry) => entry.trim());
  const written = entries.filter((entry) => entry !== '' && !entry.startsWith('#'));
  if (written.length === 0) problems.push(`${source} holds no key: make one with \`astroflow codec-key\``);
  written.forEach((entry, index) => {
    const colon = entry.indexOf(':');
    const id = entry.slice(0, Math.max(colon, 0));
    const value = entry.slice(colon + 1).trim();
    const where = `${source}, key ${index + 1}`;
    if (colon < 0) problems.push(`${where}: write id:key, with the key as base64`);
    else if (!idPattern.test(id))
      problems.push(`${where}: an id is 1 to 64 of A-Z, a-z, 0-9, ".", "_" and "-", and begins with a letter or digit`);
    else if (keys.some((known) => known.id === id)) problems.push(`${where}: the id ${id} is there already`);
    else if (!base64.test(value))
      problems.push(`${where} (${id}): the key is not ${keyBytes} bytes in base64 (44 characters, the last one "=")`);
    else keys.push({ id, key: Buffer.from(value, 'base64') });
  });
  return { keys, problems };
}

/** A new entry for the list. */
export function newCodecKey(id: string): string {
  return `${id}:${randomBytes(keyBytes).toString('base64')}`;
}

export function isKeyId(id: string): boolean {
  return idPattern.test(id);
}
