import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import canonicalizeModule from 'canonicalize';
import type { Json } from './problem.ts';

// The package is CommonJS whose `module.exports` is the function itself; its types claim a `default` property.
const canonicalize = canonicalizeModule as unknown as (value: Json) => string;

export function sha256Hex(data: string | Uint8Array): string {
  return bytesToHex(sha256(typeof data === 'string' ? utf8ToBytes(data) : data));
}

/**
 * What names a stage's or a problem's artifacts: 16 hex digits of the SHA-256 of canonical JSON (RFC 8785), so the
 * order of an object's fields does not matter. A field that is undefined counts as absent.
 * @throws Error on NaN and infinities, which JSON does not have.
 */
export function contentKey(value: Json): string {
  return sha256Hex(canonicalize(value)).slice(0, 16);
}

/** A problem's id as part of a file name or workflow id: at most 40 safe characters, then a hash that keeps it unique. */
export function problemSlug(id: string): string {
  const safe = id
    .replace(/[^A-Za-z0-9_]+/g, '-')
    .slice(0, 40)
    .replace(/^-+|-+$/g, '');
  const hash = sha256Hex(id).slice(0, 8);
  return safe === '' ? hash : `${safe}-${hash}`;
}
