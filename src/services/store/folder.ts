import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, link, mkdir, open, readdir, readFile, rename, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
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
  missing,
  pack,
  unpack,
} from './encoding.ts';
import type { ArtifactStore } from './store.ts';

/**
 * Artifacts as files under a folder. A write goes to a temporary file that is flushed to disk and then hard-linked to
 * its name: linking fails when the name exists, so of several writers exactly one wins, and a reader never sees half a
 * file, not even after a power cut.
 */
export function folderStore(root: string): ArtifactStore {
  const base = resolve(root);
  const locate = (name: string) => join(base, checkName(name));

  async function put(name: string, content: Buffer) {
    const existing = await find(name);
    if (existing) return existing;
    const won = await atomically(name, pack(name, content), linkIfAbsent);
    return won ? describe(name, content) : describe(name, await read(name));
  }

  /** Writes a temporary file, hands it over, and removes what is left of it. */
  async function atomically<T>(name: string, bytes: Buffer, commit: (temporary: string, path: string) => Promise<T>) {
    const path = locate(name);
    const temporary = join(base, '.tmp', randomUUID());
    try {
      await mkdir(dirname(temporary), { recursive: true });
      await mkdir(dirname(path), { recursive: true });
      const file = await open(temporary, 'wx');
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      const result = await commit(temporary, path);
      await syncFolder(dirname(path));
      return result;
    } catch (error) {
      throw explain(error, `cannot write ${path}`);
    } finally {
      await unlink(temporary).catch(() => {});
    }
  }

  async function read(name: string): Promise<Buffer> {
    return unpack(name, await readFile(locate(name)));
  }

  async function find(name: string) {
    try {
      return describe(name, await read(name));
    } catch (error) {
      if (isAbsent(error)) return null;
      throw explain(error, `cannot read ${locate(name)}`);
    }
  }

  async function get(ref: ArtifactRef): Promise<Buffer> {
    const path = locate(ref.uri);
    try {
      const content = await read(ref.uri);
      checkContent(ref, content);
      return content;
    } catch (error) {
      throw isAbsent(error) ? missing(ref, path) : explain(error, `cannot read ${path}`);
    }
  }

  return {
    putJson: async (name, value) => put(checkName(name, '.json'), encodeJson(value)),
    putLines: async (name, rows) => put(checkName(name, '.jsonl'), encodeLines(rows)),
    find,
    getJson: async <T>(ref: ArtifactRef) => decodeJson<T>(ref.uri, await get(ref)),
    getLines: async <T>(ref: ArtifactRef) => decodeLines<T>(ref.uri, await get(ref)),
    async list(folder) {
      const path = locate(folder);
      try {
        const entries = await readdir(path, { withFileTypes: true });
        return entries.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name)).sort();
      } catch (error) {
        if (isAbsent(error)) return [];
        throw explain(error, `cannot read ${path}`);
      }
    },
    async readLines<T>(name: string) {
      const path = locate(checkName(name, '.jsonl'));
      try {
        await access(path);
      } catch (error) {
        if (isAbsent(error)) return null;
        throw explain(error, `cannot read ${path}`);
      }
      return (async function* () {
        yield* decodeStream<T>(name, createReadStream(path));
      })();
    },
    async replaceText(name, text) {
      const content = Buffer.from(text);
      await atomically(name, content, rename);
      return describe(name, content);
    },
    locate,
    async check() {
      // Linked twice to a name that no artifact has: the second time it must be taken.
      const name = randomUUID();
      const target = join(base, '.tmp', `${name}-linked`);
      try {
        await atomically(name, Buffer.alloc(0), async (temporary) => {
          await linkIfAbsent(temporary, target);
          if (!(await linkIfAbsent(temporary, target))) return;
          throw new ServiceError('fatal', `${base} lets a file be replaced by a hard link: choose another folder`, {
            service: 'artifact store',
          });
        });
      } finally {
        await unlink(target).catch(() => {});
      }
    },
  };
}

async function linkIfAbsent(file: string, path: string): Promise<boolean> {
  try {
    await link(file, path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Makes the new name itself survive a power cut. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

/** ENOTDIR: a parent of the name is a file, so there is no such object either. */
function isAbsent(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '');
}

const ADVICE: Record<string, { kind: 'retryable' | 'fatal'; advice: string }> = {
  ENOSPC: { kind: 'retryable', advice: 'the disk is full: free some space, work continues by itself' },
  EDQUOT: { kind: 'retryable', advice: 'the disk quota is used up: free some space, work continues by itself' },
  EMFILE: { kind: 'retryable', advice: 'too many open files: lower the concurrency or raise `ulimit -n`' },
  EIO: { kind: 'retryable', advice: 'the disk reports an input/output error' },
  EACCES: { kind: 'fatal', advice: 'permission denied: let the worker write to the artifact folder' },
  EROFS: { kind: 'fatal', advice: 'the file system is read-only: choose another artifact folder' },
  EPERM: { kind: 'fatal', advice: 'not permitted: the artifact folder must allow hard links, choose another one' },
  ENOTSUP: { kind: 'fatal', advice: 'the file system has no hard links: choose another artifact folder' },
};

/** System errors as ServiceErrors that say what to do; anything else unchanged. */
function explain(error: unknown, what: string): unknown {
  const known = ADVICE[codeOf(error) ?? ''];
  if (!known) return error;
  return new ServiceError(known.kind, `${what}: ${known.advice}`, { service: 'artifact store', cause: error });
}
