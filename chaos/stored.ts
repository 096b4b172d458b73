import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import type { RunConfig } from '../src/config/schema.ts';
import { unpack } from '../src/services/store/encoding.ts';

/** Content of every artifact below a store's folder, by name, in the order they were stored. */
export type Stored = ReadonlyMap<string, Buffer>;

/** What lies in a bed's store, looked at behind the store's back. */
export interface Contents {
  /** How many artifacts there are. */
  count(): Promise<number>;
  read(): Promise<Stored>;
  /** How often it may be counted without being in the way. */
  pollMs: number;
}

export function folderContents(root: string): Contents {
  return { count: async () => namesIn(root).length, read: async () => readStored(root), pollMs: 25 };
}

export function readStored(root: string): Stored {
  return new Map(
    namesIn(root)
      .map((name) => ({ name, storedAt: statSync(join(root, name), { bigint: true }).mtimeNs }))
      .sort((a, b) => (a.storedAt < b.storedAt ? -1 : a.storedAt > b.storedAt ? 1 : a.name < b.name ? -1 : 1))
      .map(({ name }) => [name, unpack(name, readFileSync(join(root, name)))]),
  );
}

/** Names of all artifacts; what a killed write left behind has none. */
export function namesIn(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .filter((name) => !name.startsWith('.'));
}

/** Stored content as values: one of a document, one a line of JSON Lines. */
export function valuesOf<T>(name: string, content: Buffer): T[] {
  const text = content.toString('utf8');
  if (!name.endsWith('.jsonl')) return [JSON.parse(text) as T];
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}

/** All artifacts whose name matches, with their values. */
export function pick<T>(stored: Stored, name: RegExp): { name: string; groups: string[]; values: T[] }[] {
  return [...stored].flatMap(([found, content]) => {
    const match = name.exec(found);
    return match === null ? [] : [{ name: found, groups: match.slice(1), values: valuesOf<T>(found, content) }];
  });
}

/** The resolved configuration of the store's one run. */
export function configOf(stored: Stored): RunConfig {
  const config = pick<RunConfig>(stored, /^runs\/[^/]+\/config-.*\.json$/)[0]?.values[0];
  if (config === undefined) throw new Error('the store has no run');
  return config;
}
