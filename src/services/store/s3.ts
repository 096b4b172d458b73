import { randomUUID } from 'node:crypto';
import type { ArtifactRef } from '../../core/artifact.ts';
import { ServiceError } from '../errors.ts';
import {
  checkContent,
  checkName,
  decodeJson,
  decodeLines,
  decodeStream,
  describe,
  encodeJson,
  encodeLines,
  isGzip,
  missing,
  pack,
  unpack,
} from './encoding.ts';
import type { S3Location } from './location.ts';
import { type Metadata, openBucket, type Upload } from './s3-bucket.ts';
import { createClient, type S3Patience, usualPatience } from './s3-client.ts';
import { checksConditionOfParts, createInParts } from './s3-multipart.ts';
import type { ArtifactStore } from './store.ts';

/** Size of a part, and of the largest object that is sent in one piece. S3 wants 5 MiB at least, R2 equal parts. */
const usualPartBytes = 16 * 1024 * 1024;

/** Writers that race when a store is checked. */
const racers = 4;

export interface S3Options {
  env?: NodeJS.ProcessEnv;
  patience?: Partial<S3Patience>;
  partBytes?: number;
}

/**
 * Artifacts as objects of an S3 bucket, or of any server that checks `If-None-Match: *` when it writes: of several
 * writers the first wins, the others are answered 412 and take what is there. Hash, size and count stand in each object's
 * metadata, so that `find` asks for its head alone; content that is read is held against the hash.
 */
export function s3Store(location: S3Location, options: S3Options = {}): ArtifactStore {
  const { env = process.env, partBytes = usualPartBytes } = options;
  const patience = { ...usualPatience, ...options.patience };
  const bucket = openBucket(location.bucket, createClient(location, patience, env), patience);
  const root = location.prefix === '' ? '' : `${location.prefix}/`;
  const keyOf = (name: string) => root + checkName(name);
  const locate = (name: string) => `s3://${location.bucket}/${keyOf(name)}`;
  /** No artifact's name begins with a dot. */
  const checks = `${root}.check/`;
  let partsAreChecked: Promise<boolean> | undefined;

  async function put(name: string, content: Buffer): Promise<ArtifactRef> {
    const key = keyOf(name);
    const ref = describe(name, content);
    const upload = uploadOf(ref, pack(name, content));
    if (upload.bytes.length > partBytes) {
      const existing = await find(name);
      if (existing) return existing;
    }
    const inParts = upload.bytes.length > partBytes && (await canWriteInParts());
    if (inParts ? await createInParts(bucket, key, upload, partBytes) : await bucket.create(key, upload)) return ref;
    const winner = await find(name);
    if (winner) return winner;
    throw new ServiceError('retryable', `cannot write ${locate(name)}: somebody wrote it first, and it is gone again`, {
      service: 'artifact store',
    });
  }

  /** Asked once, when the first large object is written: one piece does as well where parts would not be safe. */
  function canWriteInParts(): Promise<boolean> {
    const key = `${checks}parts`;
    partsAreChecked ??= bucket.create(key, probe).then(() => checksConditionOfParts(bucket, key, probe));
    // A failure is told to whoever waits; the next one asks again.
    partsAreChecked.catch(() => {
      partsAreChecked = undefined;
    });
    return partsAreChecked;
  }

  async function find(name: string): Promise<ArtifactRef | null> {
    const metadata = await bucket.head(keyOf(name));
    if (metadata === null) return null;
    // An object that was not written by us, or copied without its metadata, is described by its content.
    return referenceIn(name, metadata) ?? describeStored(name);
  }

  async function describeStored(name: string): Promise<ArtifactRef | null> {
    const stored = await bucket.read(keyOf(name));
    return stored && describe(name, unpack(name, stored));
  }

  async function get(ref: ArtifactRef): Promise<Buffer> {
    const stored = await bucket.read(keyOf(ref.uri));
    if (stored === null) throw missing(ref, locate(ref.uri));
    const content = unpack(ref.uri, stored);
    checkContent(ref, content);
    return content;
  }

  return {
    putJson: async (name, value) => put(checkName(name, '.json'), encodeJson(value)),
    putLines: async (name, rows) => put(checkName(name, '.jsonl'), encodeLines(rows)),
    find,
    getJson: async <T>(ref: ArtifactRef) => decodeJson<T>(ref.uri, await get(ref)),
    getLines: async <T>(ref: ArtifactRef) => decodeLines<T>(ref.uri, await get(ref)),
    list: async (folder) => bucket.list(`${keyOf(folder)}/`),
    async readLines<T>(name: string) {
      const opened = await bucket.open(keyOf(checkName(name, '.jsonl')));
      return opened && decodeStream<T>(name, opened.pieces, referenceIn(name, opened.metadata)?.sha256);
    },
    async replaceText(name, text) {
      const content = Buffer.from(text);
      const ref = describe(name, content);
      await bucket.replace(keyOf(name), uploadOf(ref, content));
      return ref;
    },
    locate,
    async check() {
      // A name of its own each time: some servers check the condition, but not while another write is under way.
      const key = `${checks}${randomUUID()}`;
      const won = await Promise.all(Array.from({ length: racers }, () => bucket.create(key, probe)));
      if (won.filter(Boolean).length <= 1) return;
      // The object stays: removing it would need a permission that nothing else needs.
      throw new ServiceError(
        'fatal',
        `the server of s3://${location.bucket} lets more than one writer win with "If-None-Match: *", so workers could ` +
          "replace each other's artifacts: use a server that checks it (docs/artifact-stores.md), or a folder",
        { service: 'artifact store' },
      );
    },
  };
}

const probe: Upload = {
  bytes: Buffer.from('Written to see whether the first of several writers wins.\n'),
  contentType: 'text/plain',
  metadata: {},
};

function uploadOf({ uri, sha256, bytes, count }: ArtifactRef, stored: Buffer): Upload {
  const extension = uri.slice(uri.lastIndexOf('.'));
  const contentType = contentTypes[extension] ?? 'application/octet-stream';
  return {
    bytes: stored,
    contentType: isGzip(stored) ? 'application/gzip' : contentType,
    metadata: { sha256, bytes: String(bytes), count: String(count) },
  };
}

/** For whoever opens an object in a browser or console. */
const contentTypes: Record<string, string> = {
  '.json': 'application/json',
  '.jsonl': 'application/x-ndjson',
  '.html': 'text/html; charset=utf-8',
  '.md': 'text/markdown; charset=utf-8',
};

/** The reference that was stored with an object; null where it is not there as a whole. */
function referenceIn(uri: string, { sha256, bytes, count }: Metadata): ArtifactRef | null {
  if (!/^[0-9a-f]{64}$/.test(sha256 ?? '') || !/^\d+$/.test(bytes ?? '') || !/^\d+$/.test(count ?? '')) return null;
  return { uri, sha256: sha256 as string, bytes: Number(bytes), count: Number(count) };
}
