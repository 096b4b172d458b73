import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { s3Store } from '../../src/services/store/s3.ts';
import { createClient, usualPatience } from '../../src/services/store/s3-client.ts';
import { CorruptArtifact } from '../../src/services/store/store.ts';
import { type S3Double, type S3Request, s3Error, s3Xml, startS3Double } from '../support/s3-double.ts';

/** What a real S3 server does too seldom to be waited for; ours to bridge, or to tell in one sentence. */

let double: S3Double | undefined;
beforeEach(() => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'key');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
  vi.stubEnv('AWS_REGION', 'eu-west-1');
});
afterEach(async () => {
  await double?.close();
  double = undefined;
  vi.unstubAllEnvs();
});

const partBytes = 1000;

async function storeOn(answer: Parameters<typeof startS3Double>[0]) {
  double = await startS3Double(answer);
  vi.stubEnv('AWS_ENDPOINT_URL_S3', double.url);
  const patience = { connectMs: 1000, requestMs: 150, idleMs: 150, operationMs: 20_000, attempts: 3 };
  return s3Store({ kind: 's3', bucket: 'lab', prefix: 'p', addressing: null }, { patience, partBytes });
}

const ok = (response: ServerResponse) => response.writeHead(200, { etag: '"e"' }).end();
const content = '{"a":1}\n';
const sha256 = createHash('sha256').update(content).digest('hex');
const ref = { uri: 'k/a.json', sha256, bytes: content.length, count: 1 };
const metadata = { 'x-amz-meta-sha256': sha256, 'x-amz-meta-bytes': '8', 'x-amz-meta-count': '1' };
const methods = () => double?.requests.map(({ method }) => method).join(' ');

describe('a write to S3', () => {
  it('is conditional, carries its hash, size and count, and a checksum of what is sent', async () => {
    const store = await storeOn((_, response) => ok(response));
    expect(await store.putJson('k/a.json', { a: 1 })).toEqual(ref);
    const [request] = (double as S3Double).requests as [S3Request];
    expect(request).toMatchObject({ method: 'PUT', path: 'lab/p/k/a.json' });
    expect(request.body.toString()).toBe(content);
    expect(request.headers).toMatchObject({
      'if-none-match': '*',
      'x-amz-checksum-sha256': createHash('sha256').update(content).digest('base64'),
      ...metadata,
    });
  });

  it('carries no checksum where the SDK is told that the server knows none', async () => {
    vi.stubEnv('AWS_REQUEST_CHECKSUM_CALCULATION', 'WHEN_REQUIRED');
    const store = await storeOn((_, response) => ok(response));
    await store.putJson('k/a.json', { a: 1 });
    const names = Object.keys(double?.requests[0]?.headers ?? {});
    expect(names.filter((name) => /checksum|trailer/.test(name))).toEqual([]);
  });

  it('is tried again when the server is busy', async () => {
    const store = await storeOn((_, response, earlier) =>
      earlier.length < 2 ? s3Error(response, 503, 'SlowDown') : ok(response),
    );
    expect(await store.putJson('k/a.json', { a: 1 })).toEqual(ref);
    expect(methods()).toBe('PUT PUT PUT');
  });

  it('is tried again when it met another conditional write', async () => {
    const store = await storeOn((_, response, earlier) =>
      earlier.length < 2 ? s3Error(response, 409, 'ConditionalRequestConflict') : ok(response),
    );
    expect(await store.putJson('k/a.json', { a: 1 })).toEqual(ref);
    expect(methods()).toBe('PUT PUT PUT');
  });

  it('is for later when it keeps meeting other writes', async () => {
    const store = await storeOn((_, response) => s3Error(response, 409, 'ConditionalRequestConflict'));
    await expect(store.putJson('k/a.json', { a: 1 })).rejects.toMatchObject({ kind: 'retryable', status: 409 });
  });

  it('that lost the race gives the reference of what is there', async () => {
    const store = await storeOn(({ method }, response) =>
      method === 'PUT' ? s3Error(response, 412, 'PreconditionFailed') : response.writeHead(200, metadata).end(),
    );
    expect(await store.putJson('k/a.json', { other: true })).toEqual(ref);
    expect(methods()).toBe('PUT HEAD');
  });

  it('whose answer was lost finds what it wrote itself', async () => {
    const store = await storeOn(({ method }, response, earlier) => {
      if (method === 'HEAD') response.writeHead(200, metadata).end();
      else if (earlier.length === 0) response.destroy();
      else s3Error(response, 412, 'PreconditionFailed');
    });
    expect(await store.putJson('k/a.json', { a: 1 })).toEqual(ref);
    expect(methods()).toBe('PUT PUT HEAD');
  });
});

describe('a read from S3', () => {
  it('begins again when the connection breaks in the middle of the content', async () => {
    const store = await storeOn((_, response, earlier) => {
      response.writeHead(200, { 'content-length': content.length });
      if (earlier.length > 0) response.end(content);
      else response.write(content.slice(0, 3), () => response.destroy());
    });
    expect(await store.getJson(ref)).toEqual({ a: 1 });
    expect(methods()).toBe('GET GET');
  });

  it('names an object whose content was changed', async () => {
    const store = await storeOn((_, response) => response.writeHead(200).end('{"a":2}\n'));
    await expect(store.getJson(ref)).rejects.toThrow(CorruptArtifact);
  });

  it('row by row is held against the hash that was stored with the object', async () => {
    const store = await storeOn((_, response) => response.writeHead(200, metadata).end('{"a":2}\n'));
    const rows: unknown[] = [];
    const read = async () => {
      for await (const row of (await store.readLines('k/a.jsonl')) ?? []) rows.push(row);
    };
    await expect(read()).rejects.toThrow(/k\/a\.jsonl does not match the sha256 that was stored with it/);
  });

  it('refuses what is too large for memory before it reads it', async () => {
    const store = await storeOn((_, response) => {
      response.writeHead(200, { 'content-length': 2 ** 31 });
      response.write('x');
    });
    await expect(store.getJson(ref)).rejects.toMatchObject({
      kind: 'fatal',
      message: expect.stringContaining('at once'),
    });
    expect(methods()).toBe('GET');
  });

  it('takes the head of an object for its reference, and its content where somebody else wrote it', async () => {
    const store = await storeOn(({ method }, response) =>
      method === 'HEAD'
        ? response.writeHead(200, { 'x-amz-meta-sha256': 'no hash' }).end()
        : response.writeHead(200).end(content),
    );
    expect(await store.find('k/a.json')).toEqual(ref);
    expect(methods()).toBe('HEAD GET');
  });
});

describe('a silent S3 server', () => {
  it('is not waited for longer than a request may take, however often it is asked', async () => {
    const store = await storeOn(() => {});
    await expect(store.find('k/a.json')).rejects.toMatchObject({
      kind: 'retryable',
      timedOut: true,
      message: 'cannot read s3://lab/p/k/a.json: there was no answer in time',
    });
    expect(methods()).toBe('HEAD HEAD HEAD');
  });

  it.each(['getJson', 'readLines'] as const)('is not waited for in the middle of content (%s)', async (how) => {
    const store = await storeOn((_, response) => {
      response.writeHead(200, { 'content-length': 100 });
      response.write('{"a":1}\n{"b"');
    });
    const read = async () => {
      if (how === 'getJson') return store.getJson(ref);
      for await (const _row of (await store.readLines('k/a.jsonl')) ?? []);
    };
    await expect(read()).rejects.toMatchObject({ name: 'ServiceError', kind: 'retryable' });
  });
});

describe('an error of S3 says what to do', () => {
  it.each([
    [404, 'NoSuchBucket', 'fatal', 'there is no such bucket: create it, or correct ASTROFLOW_ARTIFACTS'],
    [403, 'AccessDenied', 'fatal', 'the credentials must allow listing the bucket'],
    [403, 'SignatureDoesNotMatch', 'fatal', 'the access key or its secret is wrong'],
    [403, 'SomethingNew', 'fatal', 'access denied'],
    [400, 'ExpiredToken', 'retryable', 'the credentials have expired: renew them'],
    [403, 'RequestTimeTooSkewed', 'retryable', "this machine's clock is wrong"],
    [301, 'PermanentRedirect', 'fatal', 'set AWS_REGION to it (eu-central-1)'],
    [503, 'SlowDown', 'retryable', 'the store is busy'],
    [500, 'InternalError', 'retryable', 'InternalError it is'],
    [501, 'NotImplemented', 'fatal', 'the server does not support the request'],
    [400, 'EntityTooLarge', 'fatal', 'EntityTooLarge it is'],
  ])('%s %s', async (status, code, kind, advice) => {
    const headers = { 'x-amz-bucket-region': 'eu-central-1', date: new Date().toUTCString() };
    const store = await storeOn((_, response) => s3Error(response, status, code, headers));
    const error = await store.list('k').catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ name: 'ServiceError', service: 'artifact store', kind, status });
    expect((error as Error).message).toMatch(/^cannot list s3:\/\/lab\/p\/k\/: /);
    expect((error as Error).message).toContain(advice);
  });

  it('that nobody listens', async () => {
    const store = await storeOn(() => {});
    await double?.close();
    await expect(store.find('k/a.json')).rejects.toMatchObject({
      kind: 'retryable',
      message: expect.stringContaining('it cannot be reached: see AWS_ENDPOINT_URL_S3'),
    });
  });

  it('that no region is set', async () => {
    vi.stubEnv('AWS_REGION', '');
    vi.stubEnv('AWS_CONFIG_FILE', '/nowhere');
    const store = await storeOn((_, response) => ok(response));
    await expect(store.find('k/a.json')).rejects.toMatchObject({
      kind: 'fatal',
      message: expect.stringContaining('no region is set: set AWS_REGION'),
    });
  });
});

describe('the check before work begins', () => {
  it('passes where one of several writers wins, and removes nothing', async () => {
    const store = await storeOn((_, response, earlier) =>
      earlier.length % 4 === 0 ? ok(response) : s3Error(response, 412, 'PreconditionFailed'),
    );
    await store.check();
    await store.check();
    expect(methods()).toBe('PUT PUT PUT PUT PUT PUT PUT PUT');
    const names = new Set(double?.requests.map(({ path }) => path));
    expect([...names]).toEqual([
      expect.stringMatching(/^lab\/p\/\.check\//),
      expect.stringMatching(/^lab\/p\/\.check\//),
    ]);
  });

  it.each([
    ['ignores the condition', Number.POSITIVE_INFINITY],
    ['checks it only when no other write is under way', 2],
  ])('refuses a server that %s', async (_, winners) => {
    const store = await storeOn((_request, response, earlier) =>
      earlier.length < winners ? ok(response) : s3Error(response, 412, 'PreconditionFailed'),
    );
    await expect(store.check()).rejects.toMatchObject({
      kind: 'fatal',
      message: expect.stringMatching(/s3:\/\/lab lets more than one writer win .*use a server that checks it/),
    });
  });
});

describe('an upload in parts', () => {
  const large = { text: 'x'.repeat(2500) };
  /** Takes parts; `complete` answers their end, told for the how many-th object of the name it is. */
  const inParts =
    (complete: (response: ServerResponse, number: number, isCheck: boolean) => void, part = ok) =>
    ({ method, path, query }: S3Request, response: ServerResponse, earlier: readonly S3Request[]) => {
      const isCheck = path.includes('.check');
      const ends = earlier.filter((one) => one.path === path && one.method === 'POST' && one.query.has('uploadId'));
      if (method === 'HEAD') response.writeHead(404).end();
      else if (query.has('uploads')) s3Xml(response, 'InitiateMultipartUploadResult', { UploadId: `u${ends.length}` });
      else if (method === 'DELETE') response.writeHead(204).end();
      else if (method === 'POST') complete(response, ends.length, isCheck);
      else if (query.has('partNumber')) part(response);
      else if (isCheck) s3Error(response, 412, 'PreconditionFailed');
      else ok(response);
    };
  const done = (response: ServerResponse) => s3Xml(response, 'CompleteMultipartUploadResult', { ETag: '"e"' });
  const refused = (response: ServerResponse) => s3Error(response, 412, 'PreconditionFailed');
  const on = (path: string) => double?.requests.filter((request) => request.path === `lab/p/${path}`) ?? [];

  it('has its condition at its end', async () => {
    const store = await storeOn(inParts((response, _, isCheck) => (isCheck ? refused : done)(response)));
    const { bytes } = await store.putJson('k/large.json', large);
    const requests = on('k/large.json');
    expect(requests.map(({ method }) => method).join(' ')).toBe('HEAD POST PUT PUT PUT POST');
    expect(requests.at(-1)?.headers).toMatchObject({ 'if-none-match': '*' });
    const parts = requests.filter(({ query }) => query.has('partNumber'));
    parts.sort((a, b) => Number(a.query.get('partNumber')) - Number(b.query.get('partNumber')));
    expect(parts.map(({ body }) => body.length)).toEqual([1000, 1000, bytes - 2000]);
    expect(Buffer.concat(parts.map(({ body }) => body)).toString()).toBe(`${JSON.stringify(large)}\n`);
    // Asked once for the server, not for every object.
    await store.putJson('k/second.json', large);
    expect(on('.check/parts').filter(({ query }) => query.has('uploads'))).toHaveLength(1);
  });

  it('is left alone where the server ignores that condition: one piece does as well', async () => {
    const store = await storeOn(inParts(done));
    await store.putJson('k/large.json', large);
    const requests = on('k/large.json');
    expect(requests.map(({ method }) => method).join(' ')).toBe('HEAD PUT');
    expect(requests[1]?.headers).toMatchObject({ 'if-none-match': '*' });
  });

  it('begins again when its end met another write', async () => {
    const store = await storeOn(
      inParts((response, number, isCheck) => {
        if (isCheck) refused(response);
        else if (number === 0) s3Error(response, 409, 'ConditionalRequestConflict');
        else done(response);
      }),
    );
    await store.putJson('k/large.json', large);
    const told = on('k/large.json').map(({ method }) => method);
    expect(told.join(' ')).toBe('HEAD POST PUT PUT PUT POST DELETE POST PUT PUT PUT POST');
  });

  it('is aborted when a part fails', async () => {
    const store = await storeOn(
      inParts(
        (response, _, isCheck) => (isCheck ? refused : done)(response),
        (response) => {
          const isCheck = double?.requests.at(-1)?.path.includes('.check');
          return isCheck ? ok(response) : (s3Error(response, 403, 'AccessDenied') as unknown as ServerResponse);
        },
      ),
    );
    await expect(store.putJson('k/large.json', large)).rejects.toMatchObject({ kind: 'fatal' });
    expect(on('k/large.json').at(-1)).toMatchObject({
      method: 'DELETE',
      query: new URLSearchParams('uploadId=u0&x-id=AbortMultipartUpload'),
    });
  });
});

describe('where the name of the bucket goes', () => {
  const location = { kind: 's3', bucket: 'lab', prefix: '', addressing: null } as const;
  const isInPath = (addressing: 'path' | 'virtual' | null, env: NodeJS.ProcessEnv) =>
    createClient({ ...location, addressing }, usualPatience, { ...env }).config.forcePathStyle;

  it('is before the host at AWS, in the path of an endpoint of your own, and as the address says', () => {
    const own = { AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:9000' };
    expect(isInPath(null, {})).toBe(false);
    expect(isInPath(null, own)).toBe(true);
    expect(isInPath('virtual', own)).toBe(false);
    expect(isInPath('path', {})).toBe(true);
  });
});
