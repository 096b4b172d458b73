import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openFolder } from '../../src/export/folder.ts';

let root: string;
let path: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'astroflow-export-'));
  path = join(root, 'out');
});
afterEach(() => rm(root, { recursive: true }));

const open = (run = 'demo') => openFolder(path, run, '1.0.0');
const write = (text: string) => async (into: string) => {
  await writeFile(join(into, 'rows.jsonl'), text);
  return { text };
};
const read = () => readFile(join(path, 'rows', 'rows.jsonl'), 'utf8');

describe('the folder of an export', () => {
  it('takes new parts in the place of old ones, and keeps the others', async () => {
    await (await open()).replace('rows', write('old'));
    await (await open()).replace('models/search-rl', write('model'));
    const folder = await open();
    expect(folder.part('rows')).toEqual({ text: 'old' });
    await folder.replace('rows', write('new'));
    expect(await read()).toBe('new');
    expect((await open()).part('models/search-rl')).toEqual({ text: 'model' });
    expect((await readdir(path)).sort()).toEqual(['export.json', 'models', 'rows']);
  });

  it('keeps the old part where making the new one fails, and nothing half-made', async () => {
    const folder = await open();
    await folder.replace('rows', write('old'));
    const failing = async (into: string) => {
      await writeFile(join(into, 'rows.jsonl'), 'ha');
      throw new Error('the disk is full');
    };
    await expect(folder.replace('rows', failing)).rejects.toThrow('full');
    expect(await read()).toBe('old');
    expect((await readdir(path)).sort()).toEqual(['export.json', 'rows']);
  });

  it('is cleared of what a killed export left half-made', async () => {
    await open();
    await mkdir(join(path, '.unfinished-1', 'rows'), { recursive: true });
    await open();
    expect(await readdir(path)).toEqual(['export.json']);
  });

  it('does not trust a part that was deleted, or one that it has not finished', async () => {
    await (await open()).replace('rows', write('old'));
    await rm(join(path, 'rows'), { recursive: true });
    await mkdir(join(path, 'models'));
    const folder = await open();
    expect(folder.part('rows')).toBeUndefined();
    expect(folder.part('models')).toBeUndefined();
  });

  it("is not somebody else's", async () => {
    await mkdir(path);
    await expect(open()).resolves.toBeDefined();
    await expect(open('other')).rejects.toThrow('holds the export of the run demo, not other');
    await rm(join(path, 'export.json'));
    await writeFile(join(path, 'thesis.tex'), 'years of work');
    await expect(open()).rejects.toThrow('holds something else than an export');
    expect(await readdir(path)).toEqual(['thesis.tex']);
    path = join(path, 'thesis.tex');
    await expect(open()).rejects.toThrow('is a file, not a folder');
  });
});
