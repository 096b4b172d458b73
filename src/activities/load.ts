import type { ArtifactRef } from '../core/artifact.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import { failure } from './failures.ts';

/** Immutable artifacts that many activities of one worker read: parsed once. Few and small; oldest leaves first. */
export function createLoader(store: ArtifactStore, capacity = 16) {
  const cache = new Map<string, Promise<unknown[]>>();
  return async function lines<T>(ref: ArtifactRef): Promise<T[]> {
    const cached = cache.get(ref.sha256) ?? store.getLines<T>(ref);
    cache.delete(ref.sha256);
    cache.set(ref.sha256, cached);
    if (cache.size > capacity) cache.delete(cache.keys().next().value as string);
    try {
      return (await cached) as T[];
    } catch (error) {
      cache.delete(ref.sha256);
      throw error;
    }
  };
}

export type LoadLines = ReturnType<typeof createLoader>;

/** An artifact another stage must have made. @throws MissingInput saying which workflow makes it. */
export async function requireArtifact(store: ArtifactStore, name: string, madeBy: string): Promise<ArtifactRef> {
  const ref = await store.find(name);
  if (ref === null) {
    throw failure(
      'MissingInput',
      `${store.locate(name)} does not exist yet: run the workflow "${madeBy}" with the same configuration first, ` +
        'or start "astroPipeline", which runs all stages',
    );
  }
  return ref;
}
