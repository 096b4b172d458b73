import { createHash } from 'node:crypto';
import { pipeline } from 'node:stream/promises';
import { createGunzip, gunzipSync, gzipSync } from 'node:zlib';
import type { ArtifactRef } from '../../core/artifact.ts';
import { unreadableSchema } from '../../core/schemas.ts';
import { CorruptArtifact, NewerArtifact } from './store.ts';

/**
 * What every store shares: names, bytes and references. A reference describes the content, not the storage: hash,
 * size and count are of the text before gzip, so they are the same in every store and under every zlib.
 */

/** JSON Lines larger than this are stored as gzip, recognised by its magic bytes when read. */
export const GZIP_ABOVE_BYTES = 64 * 1024;

/** Largest content of an object; it is read and written in one piece. Node reads no larger file at once either. */
export const MAX_CONTENT_BYTES = 2 ** 31 - 1;

const MAX_NAME_LENGTH = 512;
/** A part of a name between slashes. */
export const SEGMENT = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$/;

/**
 * Throws unless the name is relative and made of safe segments: no empty one, none that starts with a dot (and so no
 * `..`), none that a file system or a URL would read differently.
 */
export function checkName(name: string, extension?: '.json' | '.jsonl'): string {
  const problem =
    name.length > MAX_NAME_LENGTH
      ? `is longer than ${MAX_NAME_LENGTH} characters`
      : !name.split('/').every((segment) => SEGMENT.test(segment))
        ? 'must be segments of 1 to 200 of A-Z, a-z, 0-9, ".", "_", "-" (no leading dot) joined by "/"'
        : extension && !name.endsWith(extension)
          ? `must end in ${extension}`
          : null;
  if (problem) throw new RangeError(`artifact name ${JSON.stringify(name.slice(0, 80))} ${problem}`);
  return name;
}

/** One line and a newline, so that a document's count follows from its bytes like that of JSON Lines. */
export function encodeJson(value: unknown): Buffer {
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError('a value without a JSON form cannot be stored');
  return Buffer.from(`${text}\n`);
}

export function encodeLines(rows: readonly unknown[]): Buffer {
  return Buffer.concat(rows.map(encodeJson));
}

/** Content to stored bytes. Documents stay readable for people; only long JSON Lines are compressed. */
export function pack(name: string, content: Buffer): Buffer {
  if (content.length > MAX_CONTENT_BYTES)
    throw new RangeError(
      `artifact ${name} has ${content.length} bytes, more than the ${MAX_CONTENT_BYTES} of one object`,
    );
  return name.endsWith('.jsonl') && content.length > GZIP_ABOVE_BYTES ? gzipSync(content) : content;
}

/** Stored bytes to content. JSON text never starts with the magic bytes of gzip. */
export function unpack(name: string, stored: Buffer): Buffer {
  if (!isGzip(stored)) return stored;
  try {
    return gunzipSync(stored, { maxOutputLength: MAX_CONTENT_BYTES });
  } catch (cause) {
    throw damaged(name, cause);
  }
}

export const isGzip = (stored: Buffer): boolean => stored[0] === 0x1f && stored[1] === 0x8b;

const damaged = (name: string, cause: unknown) =>
  new CorruptArtifact(`artifact ${name} is damaged: its gzip data cannot be read; ${REPAIR}`, { cause });

/** The reference of content under a name. Counts newlines instead of parsing. */
export function describe(name: string, content: Buffer): ArtifactRef {
  return {
    uri: name,
    sha256: createHash('sha256').update(content).digest('hex'),
    bytes: content.length,
    count: name.endsWith('.jsonl') ? countNewlines(content) : 1,
  };
}

/** Throws `CorruptArtifact` when the content is not what the reference promises. */
export function checkContent(ref: ArtifactRef, content: Buffer): void {
  const found = describe(ref.uri, content);
  if (found.sha256 === ref.sha256) return;
  throw new CorruptArtifact(
    `artifact ${ref.uri} does not match its reference: expected sha256 ${ref.sha256.slice(0, 12)}… of ${ref.bytes} ` +
      `bytes, found ${found.sha256.slice(0, 12)}… of ${found.bytes} bytes; ${REPAIR}`,
  );
}

export function decodeJson<T>(name: string, content: Buffer): T {
  return parse<T>(name, 1, content);
}

/** One row per line. Parsed line by line: a corpus may be longer than the longest string. */
export function decodeLines<T>(name: string, content: Buffer): T[] {
  const rows: T[] = [];
  for (let start = 0; start < content.length; ) {
    const newline = content.indexOf(NEWLINE, start);
    const end = newline === -1 ? content.length : newline;
    rows.push(parse<T>(name, rows.length + 1, content.subarray(start, end)));
    start = end + 1;
  }
  return rows;
}

/** Rows of stored bytes that arrive in pieces. With a hash, the content is held against it at its end. */
export async function* decodeStream<T>(
  name: string,
  stored: AsyncIterable<Buffer>,
  sha256?: string,
): AsyncGenerator<T> {
  let rest: Buffer = Buffer.alloc(0);
  let line = 0;
  const hash = createHash('sha256');
  for await (const piece of unpackStream(name, stored)) {
    if (sha256 !== undefined) hash.update(piece);
    let from = 0;
    for (let newline = piece.indexOf(NEWLINE); newline !== -1; newline = piece.indexOf(NEWLINE, from)) {
      line += 1;
      yield parse<T>(name, line, Buffer.concat([rest, piece.subarray(from, newline)]));
      rest = Buffer.alloc(0);
      from = newline + 1;
    }
    rest = Buffer.concat([rest, piece.subarray(from)]);
  }
  if (rest.length > 0) yield parse<T>(name, line + 1, rest);
  if (sha256 !== undefined && hash.digest('hex') !== sha256)
    throw new CorruptArtifact(`artifact ${name} does not match the sha256 that was stored with it; ${REPAIR}`);
}

async function* unpackStream(name: string, stored: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const pieces = stored[Symbol.asyncIterator]();
  const first = await pieces.next();
  if (first.done) return;
  const all = (async function* () {
    yield first.value;
    yield* { [Symbol.asyncIterator]: () => pieces };
  })();
  if (!isGzip(first.value)) {
    yield* all;
    return;
  }
  const unzip = createGunzip();
  const done = pipeline(all, unzip);
  // Told where it is read: by the loop, or below where the data just end.
  done.catch(() => {});
  try {
    yield* unzip as AsyncIterable<Buffer>;
    await done;
  } catch (cause) {
    throw (cause as NodeJS.ErrnoException).code?.startsWith('Z_') ? damaged(name, cause) : cause;
  }
}

export function missing(ref: ArtifactRef, where: string): CorruptArtifact {
  return new CorruptArtifact(`artifact ${ref.uri} is missing (looked at ${where}); ${REPAIR}`);
}

const NEWLINE = 0x0a;
const REPAIR = 'restore it from a copy, or start the run with --fresh to compute it again';

function parse<T>(name: string, line: number, text: Buffer): T {
  let value: T;
  try {
    value = JSON.parse(text.toString()) as T;
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new CorruptArtifact(`artifact ${name}, line ${line} is not JSON: ${message}; ${REPAIR}`, { cause });
  }
  const newer = unreadableSchema(value);
  if (newer === null) return value;
  throw new NewerArtifact(
    `artifact ${name} is ${newer.schema}, and this release reads ` +
      `${newer.reads === null ? 'no such kind' : `up to version ${newer.reads}`}: use the release that wrote it, or a newer one`,
  );
}

function countNewlines(content: Buffer): number {
  let count = 0;
  for (let at = content.indexOf(NEWLINE); at !== -1; at = content.indexOf(NEWLINE, at + 1)) count++;
  return count;
}
