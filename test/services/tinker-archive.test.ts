import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, Header } from 'tar';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type TinkerOptions, tinkerClient } from '../../src/services/tinker/index.ts';
import { type DoubleAnswer, fakeTime, type TinkerDouble, tinkerDouble } from './tinker-double.ts';

const { signal } = new AbortController();
const path = 'tinker://run:train:0/sampler_weights/step 1';
const located = '/training_runs/run%3Atrain%3A0/checkpoints/sampler_weights/step%201/archive';
const target = 'run-train-0-sampler_weights-step-1';

let server: TinkerDouble;
let work: string;
let folder: string;
let time: ReturnType<typeof fakeTime>;

beforeEach(async () => {
  server = await tinkerDouble();
  work = await mkdtemp(join(tmpdir(), 'archive-'));
  folder = join(work, 'weights');
  time = fakeTime();
  await mkdir(join(work, 'source/adapter'), { recursive: true });
  await writeFile(join(work, 'source/adapter/adapter_config.json'), '{"r":8}');
  await writeFile(join(work, 'source/adapter/adapter_model.safetensors'), Buffer.alloc(100_000, 7));
});
afterEach(async () => {
  await server.close();
  await rm(work, { recursive: true });
});

const client = (options: Partial<TinkerOptions> = {}) =>
  tinkerClient({ baseUrl: server.baseUrl, apiKey: 'tml-key', timeoutMs: 200_000, ...time, ...options });
const download = (options: Partial<TinkerOptions> = {}) => client(options).downloadCheckpoint(path, folder, signal);
const redirect = (location = '/download'): DoubleAnswer => ({ status: 302, headers: { location } });
/** A tar of files below `source`. */
async function pack(files: string[], cwd: string, gzip = false): Promise<Uint8Array> {
  return create({ cwd: join(work, cwd), gzip, portable: true }, files).concat();
}
/** A tar with one entry of any name and type, as no archiver would write it. */
function forge(name: string, type: 'File' | 'Directory' | 'SymbolicLink' | 'Link', size = 0): Uint8Array {
  const link = type === 'File' || type === 'Directory' ? {} : { linkpath: '/etc/passwd' };
  const header = new Header({ path: name, type, size, mode: 0o644, mtime: new Date(0), ...link });
  header.encode();
  return Buffer.concat([header.block ?? Buffer.alloc(512), Buffer.alloc(type === 'Directory' ? 0 : 1024)]);
}

describe('a downloaded checkpoint', () => {
  it.each([
    ['files', ['adapter_config.json', 'adapter_model.safetensors'], 'source/adapter', false],
    ['one folder with the files', ['adapter'], 'source', true],
  ])('is a folder of its files, from an archive of %s', async (_what, files, cwd, gzip) => {
    server.answer(located, redirect());
    server.answer('/download', { bytes: await pack(files, cwd, gzip) });
    expect(await download()).toBe(join(folder, target));
    expect(await readdir(folder)).toEqual([target]);
    expect(await readFile(join(folder, target, 'adapter_config.json'), 'utf8')).toBe('{"r":8}');
    expect((await readFile(join(folder, target, 'adapter_model.safetensors'))).length).toBe(100_000);
  });

  it.each(['./', '/'])('may name its own folder first, as %s', async (name) => {
    const files = await pack(['adapter_config.json'], 'source/adapter');
    server.answer(located, redirect());
    server.answer('/download', { bytes: Buffer.concat([forge(name, 'Directory'), files]) });
    expect(await readdir(await download())).toEqual(['adapter_config.json']);
  });

  it('is used again', async () => {
    server.answer(located, redirect());
    server.answer('/download', { bytes: await pack(['adapter'], 'source') });
    const both = await Promise.all([download(), download()]);
    expect(new Set([...both, await download()]).size).toBe(1);
    expect(await readdir(folder)).toEqual([target]);
    expect(server.paths().filter((asked) => asked === '/download').length).toBeLessThanOrEqual(2);
  });

  it('is asked for by its bare name where the server wants that', async () => {
    server.answer('/training_runs/run%3Atrain%3A0/checkpoints/step%201/archive', redirect());
    server.answer('/download', { bytes: await pack(['adapter'], 'source') });
    await download({ capabilities: { archive: 'name' } });
    expect(await readdir(folder)).toEqual([target]);
  });

  it('is waited for while the server packs it', async () => {
    server.answer(located, { status: 503 }, { status: 503, headers: { 'retry-after': '2' } }, redirect());
    server.answer('/download', { bytes: await pack(['adapter'], 'source') });
    await download();
    expect(time.sleeps).toEqual([30_000, 2_000]);
  });

  it('from another host is not told the key', async () => {
    const elsewhere = await tinkerDouble();
    server.answer(located, redirect(`${elsewhere.baseUrl}/signed?x=1`));
    elsewhere.answer('/signed?x=1', { bytes: await pack(['adapter'], 'source') });
    await download();
    expect(elsewhere.requests[0]?.headers).not.toHaveProperty('x-api-key');
    await elsewhere.close();
  });

  it('behind a further redirect to another host is not told the key either', async () => {
    const elsewhere = await tinkerDouble();
    server.answer(located, redirect());
    server.answer('/download', redirect(`${elsewhere.baseUrl}/signed`));
    elsewhere.answer('/signed', { bytes: await pack(['adapter'], 'source') });
    await download();
    expect(elsewhere.requests[0]?.headers).not.toHaveProperty('x-api-key');
    await elsewhere.close();
  });

  it('from the server itself is', async () => {
    server.answer(located, redirect(`${server.baseUrl}/download`));
    server.answer('/download', { bytes: await pack(['adapter'], 'source') });
    await download();
    expect(server.requests.map(({ headers }) => headers['x-api-key'])).toEqual(['tml-key', 'tml-key']);
  });
});

describe('an archive that is not what it should be', () => {
  it.each([
    ['a file outside', () => forge('../escaped', 'File')],
    ['an absolute path', () => forge('/tmp/escaped', 'File')],
    ['a symbolic link', () => forge('link', 'SymbolicLink')],
    ['a hard link', () => forge('link', 'Link')],
  ])('is refused: %s', async (_what, forged) => {
    server.answer(located, redirect());
    server.answer('/download', { bytes: forged() });
    await expect(download()).rejects.toMatchObject({
      kind: 'fatal',
      message: expect.stringContaining('no plain file'),
    });
    expect(await readdir(folder)).toEqual([]);
    expect((await readdir(work)).sort()).toEqual(['source', 'weights']);
  });

  it.each([
    ['more files than a checkpoint has', () => Array.from({ length: 10_001 }, () => forge('./', 'Directory'))],
    ['more bytes than a disk, in one file', () => [forge('model.safetensors', 'File', 2 ** 40 + 1)]],
  ])('is refused: %s', async (_what, forged) => {
    server.answer(located, redirect());
    server.answer('/download', { bytes: Buffer.concat(forged()) });
    await expect(download()).rejects.toMatchObject({
      kind: 'fatal',
      message: expect.stringContaining('more than 10000'),
    });
    expect(await readdir(folder)).toEqual([]);
  });

  it('is not looked for behind redirects without an end', async () => {
    server.answer(located, redirect());
    server.answer('/download', redirect());
    await expect(download()).rejects.toMatchObject({ kind: 'fatal', message: expect.stringContaining('5 redirects') });
  });

  it('is refused when a real archiver packed a link', async () => {
    await symlink('/etc', join(work, 'source/adapter/etc'));
    server.answer(located, redirect());
    server.answer('/download', { bytes: await pack(['adapter'], 'source') });
    await expect(download()).rejects.toMatchObject({ kind: 'fatal' });
  });

  it('leaves nothing behind when it ends too early', async () => {
    const whole = await pack(['adapter'], 'source');
    server.answer(located, redirect());
    server.answer('/download', { bytes: whole.slice(0, 50_000) });
    await expect(download()).rejects.toMatchObject({ kind: 'retryable' });
    expect(await readdir(folder)).toEqual([]);
  });

  it.each([
    ['retryable', { drop: true }],
    ['retryable', { status: 500 }],
    ['lost', { status: 404 }],
    ['fatal', { status: 403 }],
  ] as [string, DoubleAnswer][])('is %s when the download answers %j', async (kind, answer) => {
    server.answer(located, redirect());
    server.answer('/download', answer);
    await expect(download()).rejects.toMatchObject({ name: 'TinkerError', kind });
  });

  it('needs a checkpoint to be of', async () => {
    const wrong = client().downloadCheckpoint('tinker://run/other/x', folder, signal);
    await expect(wrong).rejects.toThrow(/is not a checkpoint: expected tinker:\/\/RUN/);
  });
});
