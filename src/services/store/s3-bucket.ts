import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { ServiceError } from '../errors.ts';
import { MAX_CONTENT_BYTES } from './encoding.ts';
import type { S3Patience } from './s3-client.ts';
import { explain, isAbsent, isConflict, isTaken } from './s3-errors.ts';

export type Metadata = Record<string, string>;

export interface Upload {
  bytes: Buffer;
  contentType: string;
  metadata: Metadata;
}

/** Objects of a bucket by their whole key. Errors are `ServiceError`s that say what to do. */
export interface Bucket {
  /** Metadata of an object; null where there is none. */
  head(key: string): Promise<Metadata | null>;
  /** @throws ServiceError (fatal) above the size that is read into memory */
  read(key: string): Promise<Buffer | null>;
  /** An object as it arrives. A reader that stops reading for long loses the connection. */
  open(key: string): Promise<{ metadata: Metadata; pieces: AsyncIterable<Buffer> } | null>;
  /** Writes unless there is an object: false where there is one. */
  create(key: string, upload: Upload): Promise<boolean>;
  /** Writes, whatever is there. */
  replace(key: string, upload: Upload): Promise<void>;
  /** What lies right below `prefix`, which ends in a slash; names below it, of folders with a slash behind. */
  list(prefix: string): Promise<string[]>;
  /** Runs a request with the deadline of all, and translates its errors but for those that `lets` through. */
  request<T>(what: string, run: (abortSignal: AbortSignal) => Promise<T>, lets?: Expected): Promise<T>;
  client: S3Client;
  name: string;
}

type Expected = (error: unknown) => boolean;

/** Pause before a conditional write is tried again that met another one; doubles. */
const conflictPauseMs = 50;

export function openBucket(name: string, client: S3Client, patience: S3Patience): Bucket {
  const where = (key: string) => `s3://${name}/${key}`;

  async function request<T>(
    what: string,
    run: (abortSignal: AbortSignal) => Promise<T>,
    lets: Expected = () => false,
  ): Promise<T> {
    try {
      return await run(AbortSignal.timeout(patience.operationMs));
    } catch (error) {
      throw lets(error) ? error : explain(error, what);
    }
  }

  /** Null for an object that is not there. */
  async function ifThere<T>(what: string, run: (abortSignal: AbortSignal) => Promise<T>): Promise<T | null> {
    try {
      return await request(what, run, isAbsent);
    } catch (error) {
      if (isAbsent(error)) return null;
      throw error;
    }
  }

  function get(key: string, abortSignal: AbortSignal) {
    return client.send(new GetObjectCommand({ Bucket: name, Key: key }), { abortSignal });
  }

  async function put(key: string, upload: Upload, condition: { IfNoneMatch?: '*' }, abortSignal: AbortSignal) {
    const { bytes, contentType, metadata } = upload;
    const command = new PutObjectCommand({
      Bucket: name,
      Key: key,
      Body: bytes,
      ContentType: contentType,
      Metadata: metadata,
      ...(await checksum(client)),
      ...condition,
    });
    await client.send(command, { abortSignal });
  }

  return {
    client,
    name,
    request,
    async head(key) {
      const command = new HeadObjectCommand({ Bucket: name, Key: key });
      const found = await ifThere(`cannot read ${where(key)}`, (abortSignal) => client.send(command, { abortSignal }));
      return found && (found.Metadata ?? {});
    },
    async read(key) {
      const what = `cannot read ${where(key)}`;
      // The SDK's attempts end with the head of the answer: a connection that is lost below it is ours to bridge.
      for (let attempt = 1; ; attempt++) {
        try {
          return await ifThere(what, async (abortSignal) => {
            const { Body, ContentLength = 0 } = await get(key, abortSignal);
            if (ContentLength <= MAX_CONTENT_BYTES) return readAll(Body as Readable, what);
            (Body as Readable).destroy();
            throw tooLarge(what);
          });
        } catch (error) {
          const isWorthIt = error instanceof ServiceError && error.kind === 'retryable' && error.status === undefined;
          if (!isWorthIt || attempt === patience.attempts) throw error;
        }
      }
    },
    async open(key) {
      const what = `cannot read ${where(key)}`;
      const found = await ifThere(what, () => get(key, AbortSignal.timeout(patience.operationMs)));
      if (found === null) return null;
      const body = found.Body as Readable;
      return {
        metadata: found.Metadata ?? {},
        pieces: (async function* () {
          try {
            yield* body as AsyncIterable<Buffer>;
          } catch (error) {
            throw explain(error, what);
          } finally {
            body.destroy();
          }
        })(),
      };
    },
    async create(key, upload) {
      const what = `cannot write ${where(key)}`;
      for (let attempt = 1; ; attempt++) {
        try {
          await request(
            what,
            (abortSignal) => put(key, upload, { IfNoneMatch: '*' }, abortSignal),
            (error) => isTaken(error) || isConflict(error),
          );
          return true;
        } catch (error) {
          if (isTaken(error)) return false;
          if (!isConflict(error)) throw error;
          if (attempt === patience.attempts) throw explain(error, what);
          await sleep(conflictPauseMs * 2 ** attempt * Math.random());
        }
      }
    },
    async replace(key, upload) {
      await request(`cannot write ${where(key)}`, (abortSignal) => put(key, upload, {}, abortSignal));
    },
    async list(prefix) {
      const names: string[] = [];
      let token: string | undefined;
      do {
        const command = new ListObjectsV2Command({
          Bucket: name,
          Prefix: prefix,
          Delimiter: '/',
          ...(token !== undefined && { ContinuationToken: token }),
        });
        const page = await request(`cannot list ${where(prefix)}`, (abortSignal) =>
          client.send(command, { abortSignal }),
        );
        for (const { Key } of page.Contents ?? []) if (Key !== undefined) names.push(Key.slice(prefix.length));
        for (const { Prefix } of page.CommonPrefixes ?? [])
          if (Prefix !== undefined) names.push(Prefix.slice(prefix.length));
        token = page.IsTruncated ? page.NextContinuationToken : undefined;
      } while (token !== undefined);
      // Consoles make an empty object for a folder.
      return names.filter((found) => found !== '').sort();
    },
  };
}

/**
 * SHA-256 of what is sent, so that the server refuses what was damaged on the way, and keeps it with the object. The
 * SDK's setting for servers that know no checksums (`AWS_REQUEST_CHECKSUM_CALCULATION`) leaves it out.
 */
export async function checksum(client: S3Client): Promise<{ ChecksumAlgorithm?: 'SHA256' }> {
  const when = await client.config.requestChecksumCalculation();
  return when === 'WHEN_SUPPORTED' ? { ChecksumAlgorithm: 'SHA256' } : {};
}

async function readAll(body: Readable, what: string): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of body as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > MAX_CONTENT_BYTES) throw tooLarge(what);
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

function tooLarge(what: string): ServiceError {
  return new ServiceError('fatal', `${what}: it has more than the ${MAX_CONTENT_BYTES} bytes that are read at once`, {
    service: 'artifact store',
  });
}
