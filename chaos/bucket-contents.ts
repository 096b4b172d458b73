import { GetObjectCommand, paginateListObjectsV2 } from '@aws-sdk/client-s3';
import { unpack } from '../src/services/store/encoding.ts';
import type { S3Server } from './s3-server.ts';
import type { Contents } from './stored.ts';

/** A bucket that is the store of one bed. Its server tells when objects were stored to the second only. */
export function bucketContents({ client }: S3Server, Bucket: string): Contents {
  async function objects() {
    const found: { name: string; storedAt: number }[] = [];
    // What the check of a store leaves is no artifact.
    for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket }))
      for (const { Key = '', LastModified } of Contents)
        if (!Key.startsWith('.')) found.push({ name: Key, storedAt: LastModified?.getTime() ?? 0 });
    return found;
  }
  return {
    pollMs: 200,
    count: async () => (await objects()).length,
    async read() {
      const inOrder = (await objects()).sort((a, b) => a.storedAt - b.storedAt || (a.name < b.name ? -1 : 1));
      const stored = new Map<string, Buffer>();
      for (const { name } of inOrder) {
        const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: name }));
        stored.set(name, unpack(name, Buffer.from((await Body?.transformToByteArray()) ?? [])));
      }
      return stored;
    },
  };
}
