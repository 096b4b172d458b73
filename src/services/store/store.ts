import type { ArtifactRef } from '../../core/artifact.ts';

/** A stored object that does not match its reference or cannot be parsed; names the object. */
export class CorruptArtifact extends Error {
  override name = 'CorruptArtifact';
}

/**
 * A stored object of a kind or version that this release does not know: a newer one wrote it. Not final: where workers
 * of two releases serve one queue, the next attempt may reach the newer one.
 */
export class NewerArtifact extends Error {
  override name = 'NewerArtifact';
}

/**
 * Immutable objects by name. Writes are atomic and put-if-absent: the first writer wins, and a later put of the same
 * name returns the reference of what is there. Reads check the hash. Names are relative, `/`-separated, and cannot
 * escape the root.
 */
export interface ArtifactStore {
  /** One JSON document. */
  putJson(name: string, value: unknown): Promise<ArtifactRef>;
  /** JSON Lines, gzip above a size; `count` is the number of rows. */
  putLines(name: string, rows: readonly unknown[]): Promise<ArtifactRef>;
  /** Reference of an object, or null when there is none. */
  find(name: string): Promise<ArtifactRef | null>;
  /** @throws CorruptArtifact when the bytes do not match the reference. */
  getJson<T>(ref: ArtifactRef): Promise<T>;
  getLines<T>(ref: ArtifactRef): Promise<T[]>;
  /** What lies right below a folder, sorted: names of objects, and of folders with a `/` behind. Empty without one. */
  list(folder: string): Promise<string[]>;
  /**
   * Rows of an object one by one, however many there are; null when there is none.
   * @throws CorruptArtifact while it is read, when a row or the compressed data is damaged
   */
  readLines<T>(name: string): Promise<AsyncIterable<T> | null>;
  /** Replaces an object that is a view (a report, a run's summary), atomically. Never for stage artifacts. */
  replaceText(name: string, text: string): Promise<ArtifactRef>;
  /** Absolute path or URL of a name, for people. */
  locate(name: string): string;
  /**
   * For whoever is going to write: whether the store can be written to, and lets the first of two writers win.
   * @throws ServiceError that says why not
   */
  check(): Promise<void>;
}
