import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { extract } from 'tar';
import { TinkerError } from './errors.ts';
import { type HttpOptions, noAnswer, serviceName } from './http.ts';

/** A download without a byte for this long has ended; in all it may take an hour. */
const STALL_MS = 60_000;
const DOWNLOAD_MS = 3_600_000;

export interface Download {
  /** `tinker://RUN/KIND/NAME` */
  path: string;
  /** Below which the checkpoint's own folder is made. */
  folder: string;
  options: HttpOptions;
  /** Where the archive is. */
  locate(path: string, signal: AbortSignal): Promise<string>;
  key(signal: AbortSignal): Promise<string | undefined>;
}

/** The largest checkpoints are some hundred GiB of weights, in some hundred files. */
const archiveLimits = { files: 10_000, bytes: 2 ** 40 };

const MOST_REDIRECTS = 5;

/**
 * Downloads a checkpoint's archive (tar, compressed or not) and unpacks it beside its place, which it takes only when it
 * is complete.
 *
 * @throws TinkerError; `fatal` for an archive whose entries are no plain files or would leave the folder
 */
export async function downloadCheckpoint(download: Download, signal: AbortSignal): Promise<string> {
  const { path, folder, options } = download;
  const target = join(folder, path.replace(/^tinker:\/\//, '').replace(/[^A-Za-z0-9._-]+/g, '-'));
  if (await isFolder(target)) return target;
  const address = new URL(await download.locate(path, signal), options.baseUrl);
  await mkdir(folder, { recursive: true });
  const beside = await mkdtemp(join(folder, '.unpacking-'));
  try {
    await unpack(download, address, beside, signal);
    await moveInto(target, await onlyFolder(beside));
  } finally {
    // What was being written when it ended may still come into being.
    await rm(beside, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }
  return target;
}

async function unpack(download: Download, address: URL, folder: string, signal: AbortSignal) {
  const { path, options } = download;
  const service = serviceName(options);
  const stalled = new AbortController();
  const stall = setTimeout(() => stalled.abort(new DOMException('no more bytes', 'TimeoutError')), STALL_MS);
  const alive = new Transform({
    transform(chunk, _encoding, done) {
      stall.refresh();
      done(null, chunk);
    },
  });
  const refusing = new AbortController();
  const bounded = AbortSignal.any([refusing.signal, signal, stalled.signal, AbortSignal.timeout(DOWNLOAD_MS)]);
  let unsafe: string | null = null;
  let tooMuch: string | null = null;
  try {
    const response = await follow(download, address, bounded);
    if (!response.ok || response.body === null) throw refused(service, path, response.status);
    let [files, bytes] = [0, 0];
    const unpacking = extract({
      cwd: folder,
      strict: true,
      filter: (name, entry) => {
        files += 1;
        bytes += entry.size ?? 0;
        if (files > archiveLimits.files || bytes > archiveLimits.bytes) {
          tooMuch ??= `more than ${archiveLimits.files} files or ${archiveLimits.bytes} bytes`;
          refusing.abort();
          return false;
        }
        const type = 'type' in entry ? entry.type : '';
        // Some archives name the folder itself first.
        if (type === 'Directory' && /^[./]*$/.test(name) && !name.includes('..')) return false;
        if (isPlain(name, type)) return true;
        unsafe ??= name;
        refusing.abort();
        return false;
      },
    });
    await pipeline(Readable.fromWeb(response.body as ReadableStream), alive, unpacking, { signal: bounded });
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof TinkerError) throw cause;
    if (unsafe === null && tooMuch === null)
      throw broken(options, path, stalled.signal.aborted ? stalled.signal.reason : cause);
  } finally {
    clearTimeout(stall);
  }
  if (tooMuch !== null) {
    const message = `the archive of ${path} holds ${tooMuch}: no checkpoint does`;
    throw new TinkerError('fatal', message, { service, path });
  }
  if (unsafe === null) return;
  const message = `the archive of ${path} holds ${JSON.stringify(unsafe)}, which is no plain file inside its folder`;
  throw new TinkerError('fatal', message, { service, path });
}

/** A signed address elsewhere needs no key, and must not be given ours: not by a redirect either. */
async function follow({ path, options, key }: Download, address: URL, signal: AbortSignal): Promise<Response> {
  const home = new URL(options.baseUrl).origin;
  let at = address;
  for (let redirects = 0; redirects <= MOST_REDIRECTS; redirects++) {
    const apiKey = at.origin === home ? await key(signal) : undefined;
    const headers = new Headers(apiKey === undefined ? [] : [['x-api-key', apiKey]]);
    const response = await fetch(at, { headers, redirect: 'manual', signal });
    const location = response.status >= 300 && response.status < 400 ? response.headers.get('location') : null;
    if (location === null) return response;
    await response.body?.cancel();
    at = new URL(location, at);
  }
  const message = `the archive of ${path} is behind more than ${MOST_REDIRECTS} redirects`;
  throw new TinkerError('fatal', message, { service: serviceName(options), path });
}

/** A file or folder that stays below where it is unpacked. */
function isPlain(name: string, type: string): boolean {
  const leaves = /^\/|(^|\/)\.\.(\/|$)|\\|^[A-Za-z]:/.test(name);
  return !leaves && ['File', 'OldFile', 'ContiguousFile', 'Directory'].includes(type);
}

/** A download can always be tried again. */
function broken(options: HttpOptions, path: string, cause: unknown): TinkerError {
  const { message } = noAnswer(options, path, STALL_MS, cause);
  return new TinkerError('retryable', message, { service: serviceName(options), path, cause });
}

function refused(service: string, path: string, status: number): TinkerError {
  const kind = status === 404 || status === 410 ? 'lost' : status === 429 || status >= 500 ? 'retryable' : 'fatal';
  return new TinkerError(kind, `${service} refused the archive of ${path} (${status})`, { service, path, status });
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );

/** Some archives hold the files, others one folder with the files. */
async function onlyFolder(unpacked: string): Promise<string> {
  const entries = await readdir(unpacked, { withFileTypes: true });
  const [first] = entries;
  return entries.length === 1 && first?.isDirectory() ? join(unpacked, first.name) : unpacked;
}

/** Whoever else downloaded the same was first, and has the same files. */
async function moveInto(target: string, unpacked: string): Promise<void> {
  try {
    await rename(unpacked, target);
  } catch (error) {
    if (!(await isFolder(target))) throw error;
  }
}
