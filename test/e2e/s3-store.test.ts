import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CopyObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type S3Server, startS3Server } from '../../chaos/s3-server.ts';
import { openStore } from '../../src/services/store/open.ts';
import { type S3Options, s3Store } from '../../src/services/store/s3.ts';
import { describeStore } from '../services/store-contract.ts';

let folder: string;
let server: S3Server;
let bucket: string;
let prefixes = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'astroflow-s3-'));
  server = await startS3Server(folder);
  bucket = await server.newBucket();
  for (const [name, value] of Object.entries(server.env)) vi.stubEnv(name, value);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await server?.child.stop();
  await rm(folder, { recursive: true, force: true });
});

const newPrefix = () => `tests/${++prefixes}`;
const storeAt = (prefix: string, options?: S3Options) =>
  s3Store({ kind: 's3', bucket, prefix, addressing: null }, options);
const object = (prefix: string, name: string) => ({ Bucket: bucket, Key: `${prefix}/${name}` });

async function rawRead(prefix: string, name: string): Promise<Buffer> {
  const { Body } = await server.client.send(new GetObjectCommand(object(prefix, name)));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

describeStore('a store in an S3 bucket', async () => {
  const prefix = newPrefix();
  return {
    store: storeAt(prefix),
    second: await openStore(`s3://${bucket}/${prefix}`),
    rawRead: (name) => rawRead(prefix, name),
    async rawWrite(name, Body) {
      await server.client.send(new PutObjectCommand({ ...object(prefix, name), Body }));
    },
  };
});

describe('a store in an S3 bucket', () => {
  it('lets one of many clients win, object after object, however large', async () => {
    const prefix = newPrefix();
    const partBytes = 5 * 1024 * 1024;
    const clients = Array.from({ length: 4 }, () => storeAt(prefix, { partBytes }));
    for (const size of [10, 10_000, 6_000_000, 11_000_000]) {
      const name = `race/${size}.json`;
      const refs = await Promise.all(
        clients.map((client, writer) => client.putJson(name, { writer, padding: `${writer}`.repeat(size) })),
      );
      expect(new Set(refs.map((ref) => ref.sha256)).size).toBe(1);
      for (const client of clients) expect(await client.find(name)).toEqual(refs[0]);
      const { writer, padding } = await clients[0]!.getJson<{ writer: number; padding: string }>(refs[0]!);
      expect(padding).toBe(`${writer}`.repeat(size));
    }
    const { Uploads } = await server.client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
    expect(Uploads ?? []).toEqual([]);
  });

  it('finds an object by its head, and one that was copied without its metadata by its content', async () => {
    const prefix = newPrefix();
    const store = storeAt(prefix);
    const ref = await store.putLines('k/rows.jsonl', [{ a: 1 }, { a: 2 }]);
    const { Metadata, ContentType } = await server.client.send(new HeadObjectCommand(object(prefix, 'k/rows.jsonl')));
    expect(Metadata).toEqual({ sha256: ref.sha256, bytes: `${ref.bytes}`, count: '2' });
    expect(ContentType).toBe('application/x-ndjson');
    await server.client.send(
      new CopyObjectCommand({
        ...object(prefix, 'k/copy.jsonl'),
        CopySource: `${bucket}/${prefix}/k/rows.jsonl`,
        MetadataDirective: 'REPLACE',
      }),
    );
    expect(await store.find('k/copy.jsonl')).toEqual({ ...ref, uri: 'k/copy.jsonl' });
  });

  it('lists more objects than fit into one answer', async () => {
    const store = storeAt(newPrefix());
    const names = Array.from({ length: 1100 }, (_, index) => `${String(index).padStart(4, '0')}.json`);
    for (let from = 0; from < names.length; from += 50)
      await Promise.all(names.slice(from, from + 50).map((name) => store.putJson(`many/${name}`, 1)));
    expect(await store.list('many')).toEqual(names);
  });

  it('says where an object is, and what is wrong with a bucket that is not there', async () => {
    const store = storeAt('a/b');
    expect(store.locate('runs/r/report.md')).toBe(`s3://${bucket}/a/b/runs/r/report.md`);
    const nowhere = await openStore('s3://no-such-bucket/a');
    await expect(nowhere.check()).rejects.toMatchObject({
      name: 'ServiceError',
      kind: 'fatal',
      message: expect.stringMatching(/s3:\/\/no-such-bucket.*there is no such bucket: create it/),
    });
  });
});
