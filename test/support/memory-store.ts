import { Readable } from 'node:stream';
import type { ArtifactRef } from '../../src/core/artifact.ts';
import { sha256Hex } from '../../src/core/key.ts';
import type { ArtifactStore } from '../../src/services/store/store.ts';

/** Put-if-absent in a map: for tests that need a new store for each of many cases. */
export function memoryStore(content: Map<string, string> = new Map()): ArtifactStore & { names(): string[] } {
  const describe = (name: string, text: string): ArtifactRef => ({
    uri: name,
    sha256: sha256Hex(text),
    bytes: text.length,
    count: Array.isArray(JSON.parse(text)) ? JSON.parse(text).length : 1,
  });
  const put = (name: string, value: unknown): ArtifactRef => {
    if (!content.has(name)) content.set(name, JSON.stringify(value));
    return describe(name, content.get(name) as string);
  };
  const get = <T>({ uri }: ArtifactRef): T => JSON.parse(content.get(uri) as string) as T;
  return {
    putJson: async (name, value) => put(name, value),
    putLines: async (name, rows) => put(name, rows),
    find: async (name) => (content.has(name) ? describe(name, content.get(name) as string) : null),
    getJson: async <T>(ref: ArtifactRef) => get<T>(ref),
    getLines: async <T>(ref: ArtifactRef) => get<T[]>(ref),
    list: async (folder) => {
      const below = [...content.keys()].flatMap((name) =>
        name.startsWith(`${folder}/`) ? [name.slice(folder.length + 1).replace(/\/.*/, '/')] : [],
      );
      return [...new Set(below)].sort();
    },
    readLines: async <T>(name: string) => {
      const text = content.get(name);
      return text === undefined ? null : Readable.from(JSON.parse(text) as T[]);
    },
    replaceText: async (name, text) => {
      content.set(name, JSON.stringify(text));
      return describe(name, JSON.stringify(text));
    },
    locate: (name) => `memory:${name}`,
    check: async () => {},
    names: () => [...content.keys()].sort(),
  };
}
