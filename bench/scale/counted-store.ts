import type { ArtifactStore } from '../../src/services/store/store.ts';

/** How often each operation of a store was asked for, and what was written. */
export interface StoreCounts {
  put: number;
  get: number;
  find: number;
  list: number;
  replace: number;
  /** Trees put: how many problems are done. */
  trees: number;
}

export const noCounts: StoreCounts = { put: 0, get: 0, find: 0, list: 0, replace: 0, trees: 0 };

/** The same store, which adds to `counts` what it is asked for. */
export function countedStore(store: ArtifactStore, counts: StoreCounts): ArtifactStore {
  return {
    ...store,
    putJson(name, value) {
      counts.put += 1;
      if (name.endsWith('/tree.json')) counts.trees += 1;
      return store.putJson(name, value);
    },
    putLines(name, rows) {
      counts.put += 1;
      return store.putLines(name, rows);
    },
    find(name) {
      counts.find += 1;
      return store.find(name);
    },
    getJson(ref) {
      counts.get += 1;
      return store.getJson(ref);
    },
    getLines(ref) {
      counts.get += 1;
      return store.getLines(ref);
    },
    list(folder) {
      counts.list += 1;
      return store.list(folder);
    },
    readLines(name) {
      counts.get += 1;
      return store.readLines(name);
    },
    replaceText(name, text) {
      counts.replace += 1;
      return store.replaceText(name, text);
    },
  };
}

export function addCounts(a: StoreCounts, b: StoreCounts): StoreCounts {
  return {
    put: a.put + b.put,
    get: a.get + b.get,
    find: a.find + b.find,
    list: a.list + b.list,
    replace: a.replace + b.replace,
    trees: a.trees + b.trees,
  };
}
