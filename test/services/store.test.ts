import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { folderStore } from '../../src/services/store/folder.ts';
import { describeStore } from './store-contract.ts';

const roots: string[] = [];
async function newRoot(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'astroflow-store-'));
  roots.push(root);
  return root;
}
afterAll(() => Promise.all(roots.map((root) => rm(root, { recursive: true, force: true }))));

describeStore('a folder store', async () => {
  const root = await newRoot();
  return {
    store: folderStore(root),
    second: folderStore(root),
    rawRead: (name) => readFile(join(root, name)),
    async rawWrite(name, bytes) {
      await mkdir(dirname(join(root, name)), { recursive: true });
      await writeFile(join(root, name), bytes);
    },
  };
});

describe('a folder store on a disk', () => {
  it('leaves no temporary files behind, won or lost', async () => {
    const root = await newRoot();
    const store = folderStore(root);
    await Promise.all(Array.from({ length: 8 }, (_, writer) => store.putJson('k/a.json', { writer })));
    await store.replaceText('k/report.md', 'text');
    expect(await readdir(join(root, '.tmp'))).toEqual([]);
  });

  it('agrees across processes that write the same names at once', async () => {
    const root = await newRoot();
    const module = fileURLToPath(new URL('../../src/services/store/folder.ts', import.meta.url));
    const program = `
      const { folderStore } = await import(${JSON.stringify(module)});
      const store = folderStore(${JSON.stringify(root)});
      const refs = [];
      for (let i = 0; i < 40; i++) refs.push(await store.putJson('race/' + i + '.json', { writer: process.pid, i }));
      process.stdout.write(JSON.stringify(refs));
    `;
    const writers = Array.from({ length: 2 }, async () => {
      const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let output = '';
      child.stdout.on('data', (chunk) => {
        output += chunk;
      });
      await once(child, 'close');
      return output;
    });
    const [one, two] = await Promise.all(writers);
    expect(JSON.parse(one ?? '')).toHaveLength(40);
    expect(two).toBe(one);
  });

  it.each(['open', 'writeFile', 'sync', 'link'] as const)(
    'leaves nothing under a name when the disk is full at %s',
    async (at) => {
      const root = await newRoot();
      const full = () => Promise.reject(Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }));
      vi.resetModules();
      vi.doMock('node:fs/promises', async (original) => {
        const real = await original<typeof import('node:fs/promises')>();
        const open = async (path: string, flags: string) => {
          const file = await real.open(path, flags);
          if (at === 'writeFile') {
            const write = file.writeFile.bind(file);
            // Half of it still fitted.
            file.writeFile = async (bytes) =>
              write((bytes as Buffer).subarray(0, (bytes as Buffer).length / 2)).then(full);
          }
          if (at === 'sync' && flags === 'wx') file.sync = full;
          return file;
        };
        return { ...real, open: at === 'open' ? full : open, ...(at === 'link' && { link: full }) };
      });
      const { folderStore: onFullDisk } = await import('../../src/services/store/folder.ts');
      vi.doUnmock('node:fs/promises');
      await expect(onFullDisk(root).putJson('k/a.json', { value: 1 })).rejects.toMatchObject({
        name: 'ServiceError',
        kind: 'retryable',
        message: expect.stringMatching(/cannot write .*a\.json: the disk is full: free some space/),
      });
      expect(await readdir(join(root, '.tmp')).catch(() => [])).toEqual([]);
      expect(await readdir(join(root, 'k')).catch(() => [])).toEqual([]);
      const ref = await folderStore(root).putJson('k/a.json', { value: 1 });
      expect(await folderStore(root).getJson(ref)).toEqual({ value: 1 });
    },
  );
});
