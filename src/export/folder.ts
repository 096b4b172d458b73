import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Something a person can put right. */
export class ExportError extends Error {
  override name = 'ExportError';
}

/** `export.json`: whose folder it is, and what its parts were made from. A part that is not listed is not whole. */
interface Contents {
  schema: 'astroflow.export/1';
  run: string;
  astroflow: string;
  /** By its path in the folder: rows, models/search-rl, … */
  parts: Record<string, Part>;
}

/** What a part was made from, and what there is to say of it. */
export type Part = Readonly<Record<string, unknown>>;

export interface ExportFolder {
  path: string;
  /** What an earlier export of the same run has left under this name. */
  part(name: string): Part | undefined;
  /** Makes a part in a folder of its own, which takes its place when it is whole; an older one stays until then. */
  replace(name: string, make: (folder: string) => Promise<Part>): Promise<Part>;
}

const FILE = 'export.json';
const UNFINISHED = '.unfinished-';

/**
 * The folder of a run's export: a new one, an empty one, or one that holds an export of the same run.
 *
 * @throws ExportError when anything else is there
 */
export async function openFolder(path: string, run: string, version: string): Promise<ExportFolder> {
  const contents: Contents = { schema: 'astroflow.export/1', run, astroflow: version, parts: {} };
  const earlier = await readContents(path, run);
  await mkdir(path, { recursive: true });
  // Of an export that was killed.
  for (const name of await readdir(path))
    if (name.startsWith(UNFINISHED)) await rm(join(path, name), { recursive: true, force: true });
  contents.parts = { ...earlier?.parts };
  const save = () => replaceFile(join(path, FILE), `${JSON.stringify(contents, null, 2)}\n`);
  await save();
  return {
    path,
    part: (name) => (existsSync(join(path, name)) ? contents.parts[name] : undefined),
    async replace(name, make) {
      const beside = join(path, `${UNFINISHED}${randomUUID()}`);
      await mkdir(beside);
      try {
        const part = await make(beside);
        delete contents.parts[name];
        await save();
        await moveInto(join(path, name), beside);
        contents.parts[name] = part;
        await save();
        return part;
      } finally {
        await rm(beside, { recursive: true, force: true });
      }
    },
  };
}

async function readContents(path: string, run: string): Promise<Contents | null> {
  const names = await readdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    if (error.code === 'ENOTDIR') throw new ExportError(`${path} is a file, not a folder: choose another --out.`);
    throw error;
  });
  if (names.length === 0) return null;
  const advice = 'choose another --out, or empty it.';
  let found: Contents;
  try {
    found = JSON.parse(await readFile(join(path, FILE), 'utf8')) as Contents;
  } catch {
    throw new ExportError(`${path} holds something else than an export (it has no ${FILE}): ${advice}`);
  }
  if (found.schema !== 'astroflow.export/1')
    throw new ExportError(`${path} holds an export of another version of Astroflow: ${advice}`);
  if (found.run !== run)
    throw new ExportError(`${path} holds the export of the run ${found.run}, not ${run}: ${advice}`);
  return found;
}

/** A folder cannot replace a folder in one step: between the two renames the name has none, and neither is half. */
async function moveInto(target: string, made: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  const old = `${made}-old`;
  if (existsSync(target)) await rename(target, old);
  await rename(made, target);
  await rm(old, { recursive: true, force: true });
}

async function replaceFile(path: string, text: string): Promise<void> {
  const own = `${path}.${randomUUID()}`;
  await writeFile(own, text);
  await rename(own, path);
}
