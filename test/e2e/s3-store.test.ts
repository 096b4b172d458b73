import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CopyObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type S3Server, startS3Server } from '../../chaos/s3-server.ts';
import { compareCommand } from '../../src/cli/compare.ts';
import { diffCommand } from '../../src/cli/diff.ts';
import { explainCommand } from '../../src/cli/explain.ts';
import { exportCommand } from '../../src/cli/export.ts';
import { type Home, homeFrom } from '../../src/cli/home.ts';
import { ledgerCommand } from '../../src/cli/ledger.ts';
import { listCommand } from '../../src/cli/list.ts';
import { reportCommand } from '../../src/cli/report.ts';
import { renderResult } from '../../src/cli/result.ts';
import { startRun } from '../../src/cli/start.ts';
import { statusCommand } from '../../src/cli/status.ts';
import { traceCommand } from '../../src/cli/trace.ts';
import { treeCommand } from '../../src/cli/tree.ts';
import { parseLocation, type S3Location } from '../../src/services/store/location.ts';
import { openStore } from '../../src/services/store/open.ts';
import { type S3Options, s3Store } from '../../src/services/store/s3.ts';
import { createClient, usualPatience } from '../../src/services/store/s3-client.ts';
import { describeStore } from '../services/store-contract.ts';
import { type Pipeline, scriptedPolicy, startPipeline } from '../support/pipeline.ts';

/** Another server than ours, as `s3://bucket/prefix`; found as the AWS SDK finds it. */
const given = process.env.ASTROFLOW_TEST_S3;

let folder: string;
let server: S3Server | undefined;
let client: S3Client;
let bucket: string;
let root = 'tests';
let prefixes = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'astroflow-s3-'));
  if (given === undefined) {
    server = await startS3Server(folder);
    bucket = await server.newBucket();
    for (const [name, value] of Object.entries(server.env)) vi.stubEnv(name, value);
    client = server.client;
  } else {
    const location = parseLocation(given) as S3Location;
    bucket = location.bucket;
    root = [location.prefix, `test-${Date.now()}`].filter(Boolean).join('/');
    client = createClient(location, usualPatience, process.env);
  }
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await server?.child.stop();
  await rm(folder, { recursive: true, force: true });
});

const newPrefix = () => `${root}/${++prefixes}`;
const storeAt = (prefix: string, options?: S3Options) =>
  s3Store({ kind: 's3', bucket, prefix, addressing: null }, options);
const object = (prefix: string, name: string) => ({ Bucket: bucket, Key: `${prefix}/${name}` });

async function rawRead(prefix: string, name: string): Promise<Buffer> {
  const { Body } = await client.send(new GetObjectCommand(object(prefix, name)));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

describeStore('a store in an S3 bucket', async () => {
  const prefix = newPrefix();
  return {
    store: storeAt(prefix),
    second: await openStore(`s3://${bucket}/${prefix}`),
    rawRead: (name) => rawRead(prefix, name),
    async rawWrite(name, Body) {
      await client.send(new PutObjectCommand({ ...object(prefix, name), Body }));
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
    const { Uploads } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: prefix }));
    expect(Uploads ?? []).toEqual([]);
  });

  it('finds an object by its head, and one that was copied without its metadata by its content', async () => {
    const prefix = newPrefix();
    const store = storeAt(prefix);
    const ref = await store.putLines('k/rows.jsonl', [{ a: 1 }, { a: 2 }]);
    const { Metadata, ContentType } = await client.send(new HeadObjectCommand(object(prefix, 'k/rows.jsonl')));
    expect(Metadata).toEqual({ sha256: ref.sha256, bytes: `${ref.bytes}`, count: '2' });
    expect(ContentType).toBe('application/x-ndjson');
    await client.send(
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

describe('the smoke run in an S3 bucket', () => {
  let pipeline: Pipeline;
  let home: Home;
  /** What is stored is all there is to be told. */
  const nobody = { TEMPORAL_ADDRESS: '127.0.0.1:1' };
  const printed: string[] = [];
  beforeAll(async () => {
    pipeline = await startPipeline();
    home = homeFrom({ ASTROFLOW_HOME: folder, ASTROFLOW_ARTIFACTS: `s3://${bucket}/${root}/lab` }, folder);
  });
  afterAll(() => pipeline?.close());
  beforeEach(() => {
    vi.spyOn(console, 'log').mockImplementation((line: string) => void printed.push(line));
  });
  afterEach(() => vi.restoreAllMocks());

  async function said(command: Promise<number>): Promise<string> {
    printed.length = 0;
    expect(await command).toBe(0);
    return printed.join('\n');
  }

  it('goes through all stages, with nothing in a folder', async () => {
    const { $schema: _, ...smoke } = JSON.parse(await readFile('configs/smoke.json', 'utf8'));
    const store = await openStore(home.artifacts);
    await pipeline.withWorkers(
      async (taskQueue) => {
        const document = { ...smoke, policy: scriptedPolicy, onFailure: 'fail' };
        const handle = await startRun(pipeline.client, {
          workflow: 'astroPipeline',
          run: 'smoke',
          document,
          taskQueue,
        });
        const result = await handle.result();
        const shown = await renderResult(result, home, process.stdout);
        expect(shown).toContain(`Report      s3://${bucket}/${root}/lab/runs/smoke/report.html`);
        expect(shown).toContain('astroflow report smoke --out');
      },
      { store: () => store },
    );
    expect(await readdir(pipeline.folder)).toEqual([]);
  });

  it('is told by every command that looks at a run', async () => {
    const env = { TEMPORAL_ADDRESS: pipeline.env.address };
    expect(await said(listCommand(home, env, {}))).toMatch(/smoke +completed/);
    expect(await said(statusCommand(home, nobody, 'smoke'))).toContain('40/40 problems');
    expect(await said(treeCommand(home, 'smoke', undefined, {}))).toContain('finished');
    expect(await said(treeCommand(home, 'smoke', '3', {}))).toContain('2 rounds, finished');
    expect(await said(traceCommand(home, 'smoke', 0, { arm: 'search' }))).toContain('search row 0 of');
    expect(await said(ledgerCommand(home, nobody, 'smoke', {}))).toContain('The books are right.');
    expect(await said(compareCommand(home, ['smoke', 'smoke'], { checkpoint: [], resamples: 100 }))).toContain(
      'the same answers',
    );
    expect(await said(diffCommand(home, ['smoke', 'smoke'], {}))).toContain('Configuration: the same');
    expect(await said(explainCommand(home, nobody, 'smoke', '0', { limit: 3 }))).toContain('of smoke');
    const page = join(folder, 'report.html');
    expect(await said(reportCommand(home, 'smoke', { out: page }))).toBe(page);
    expect(await readFile(page, 'utf8')).toContain('</html>');
    const out = join(folder, 'exported');
    expect(await said(exportCommand(home, nobody, 'smoke', { rows: true, out, project: 'p' }))).toMatch(
      /sft-search: \d+ rows/,
    );
  });
});
