import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { type Bucket, checksum, type Upload } from './s3-bucket.ts';
import { explain, isConflict, isTaken } from './s3-errors.ts';

/** Parts that are on their way at once. */
const concurrency = 4;

/** A whole upload is begun again when its end met another writer's. */
const mostUploads = 3;

/**
 * Writes an object in parts unless there is one: false where there is one. The condition is checked when the parts
 * become an object, so of several writers exactly one wins here too. An upload that does not get that far is aborted;
 * what a killed process leaves is for the bucket's lifecycle rule.
 */
export async function createInParts(bucket: Bucket, key: string, upload: Upload, partBytes: number): Promise<boolean> {
  const what = `cannot write s3://${bucket.name}/${key}`;
  for (let attempt = 1; ; attempt++) {
    const place = await begin(bucket, key, upload, what);
    try {
      const parts = await uploadParts(bucket, place, upload.bytes, partBytes, what);
      await complete(bucket, place, parts, what);
      return true;
    } catch (error) {
      await abort(bucket, place);
      if (isTaken(error)) return false;
      if (!isConflict(error)) throw error;
      if (attempt === mostUploads) throw explain(error, what);
    }
  }
}

/**
 * Whether the server checks the condition at the end of an upload in parts. Some check it for objects of one piece
 * alone. `key` is of an object that is there.
 */
export async function checksConditionOfParts(bucket: Bucket, key: string, upload: Upload): Promise<boolean> {
  return !(await createInParts(bucket, key, upload, upload.bytes.length));
}

interface Place {
  Bucket: string;
  Key: string;
  UploadId: string | undefined;
}

async function begin(bucket: Bucket, key: string, upload: Upload, what: string): Promise<Place> {
  const { client, name } = bucket;
  const command = new CreateMultipartUploadCommand({
    Bucket: name,
    Key: key,
    ContentType: upload.contentType,
    Metadata: upload.metadata,
    ...(await checksum(client)),
  });
  const { UploadId } = await bucket.request(what, (abortSignal) => client.send(command, { abortSignal }));
  return { Bucket: name, Key: key, UploadId };
}

async function uploadParts(
  bucket: Bucket,
  place: Place,
  bytes: Buffer,
  partBytes: number,
  what: string,
): Promise<CompletedPart[]> {
  const { client } = bucket;
  const wanted = await checksum(client);
  const parts: CompletedPart[] = [];
  const count = Math.ceil(bytes.length / partBytes);
  let next = 0;
  let failed = false;

  async function worker() {
    while (next < count && !failed) {
      const index = next++;
      const command = new UploadPartCommand({
        ...place,
        ...wanted,
        PartNumber: index + 1,
        Body: bytes.subarray(index * partBytes, (index + 1) * partBytes),
      });
      const { ETag, ChecksumSHA256 } = await bucket.request(what, (abortSignal) =>
        client.send(command, { abortSignal }),
      );
      parts[index] = { PartNumber: index + 1, ETag, ...(ChecksumSHA256 !== undefined && { ChecksumSHA256 }) };
    }
  }
  const outcomes = await Promise.allSettled(
    Array.from({ length: concurrency }, () =>
      worker().catch((error) => {
        failed = true;
        throw error;
      }),
    ),
  );
  // All have ended, so nothing is uploaded behind an abort.
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  return parts;
}

async function complete(bucket: Bucket, place: Place, parts: CompletedPart[], what: string): Promise<void> {
  const command = new CompleteMultipartUploadCommand({
    ...place,
    MultipartUpload: { Parts: parts },
    IfNoneMatch: '*',
  });
  await bucket.request(
    what,
    (abortSignal) => bucket.client.send(command, { abortSignal }),
    (error) => isTaken(error) || isConflict(error),
  );
}

/** As well as can be: what is left is removed by the bucket's lifecycle rule. */
async function abort(bucket: Bucket, place: Place): Promise<void> {
  const command = new AbortMultipartUploadCommand(place);
  await bucket.request('cannot abort', (abortSignal) => bucket.client.send(command, { abortSignal })).catch(() => {});
}
