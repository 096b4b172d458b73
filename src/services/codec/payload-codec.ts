import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { Payload, PayloadCodec } from '@temporalio/common';
import protocol from '@temporalio/proto';
import { type CodecKey, keysFileVariable, keysVariable } from './keys.ts';

/** What a payload's `encoding` says when it is one of ours. */
export const encryptedEncoding = 'binary/astroflow-aes-256-gcm';
export const keyIdField = 'encryption-key-id';

const cipher = 'aes-256-gcm';
/** NIST SP 800-38D section 8.2.2: a random nonce of 96 bits, for at most 2^32 payloads a key. */
const nonceBytes = 12;
const tagBytes = 16;

const proto = protocol.temporal.api.common.v1.Payload;
const utf8 = new TextEncoder();
const text = (bytes: Uint8Array | null | undefined) => Buffer.from(bytes ?? []).toString('utf8');

/** A payload that cannot be decrypted. The message names key ids only. */
export class CodecError extends Error {
  override name = 'CodecError';
}

/**
 * Encrypts whole payloads, their metadata included, with the first key, and decrypts with all. Payloads of any other
 * encoding pass through, so what a person starts in the UI or by the CLI as plain JSON still works. Without keys it
 * leaves all payloads as they are, and says what is missing where one is encrypted.
 */
export function createPayloadCodec(keys: readonly CodecKey[]): PayloadCodec {
  const byId = new Map(keys.map((key) => [key.id, key]));
  const [first] = keys;
  return {
    encode: async (payloads) => (first === undefined ? payloads : payloads.map((payload) => encrypt(payload, first))),
    decode: async (payloads) => payloads.map((payload) => (isEncrypted(payload) ? decrypt(payload, byId) : payload)),
  };
}

export function isEncrypted(payload: Payload): boolean {
  return text(payload.metadata?.encoding) === encryptedEncoding;
}

function encrypt(payload: Payload, { id, key }: CodecKey): Payload {
  const nonce = randomBytes(nonceBytes);
  const sealing = createCipheriv(cipher, key, nonce, { authTagLength: tagBytes }).setAAD(boundTo(id));
  const sealed = [nonce, sealing.update(proto.encode(payload).finish()), sealing.final(), sealing.getAuthTag()];
  return {
    metadata: { encoding: utf8.encode(encryptedEncoding), [keyIdField]: utf8.encode(id) },
    data: Buffer.concat(sealed),
  };
}

function decrypt(payload: Payload, keys: ReadonlyMap<string, CodecKey>): Payload {
  const id = text(payload.metadata?.[keyIdField]);
  const key = keys.get(id);
  if (key === undefined) throw new CodecError(unknownKey(id, [...keys.keys()]));
  const data = payload.data ?? new Uint8Array();
  if (data.length < nonceBytes + tagBytes) throw new CodecError(`a payload encrypted with key ${id} is cut short`);
  const end = data.length - tagBytes;
  const opening = createDecipheriv(cipher, key.key, data.subarray(0, nonceBytes), { authTagLength: tagBytes });
  opening.setAAD(boundTo(id)).setAuthTag(data.subarray(end));
  try {
    const opened = Buffer.concat([opening.update(data.subarray(nonceBytes, end)), opening.final()]);
    const { metadata, data: plain, externalPayloads } = proto.decode(opened);
    return { metadata, data: plain, ...(externalPayloads.length > 0 && { externalPayloads }) };
  } catch {
    throw new CodecError(`a payload does not open with key ${id}: it was changed, or another key has this id now`);
  }
}

/** The key's id and the encoding cannot be exchanged without the payload failing to open. */
function boundTo(id: string): Uint8Array {
  return utf8.encode(`${encryptedEncoding}\0${id}`);
}

function unknownKey(id: string, known: readonly string[]): string {
  const said = `a payload is encrypted with key ${JSON.stringify(id.slice(0, 64))}`;
  return known.length === 0
    ? `${said}: set ${keysVariable} (or ${keysFileVariable}) to a list that has it`
    : `${said}, which ${keysVariable} does not have (it has ${known.join(', ')}): add it behind the first`;
}
