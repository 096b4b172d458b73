import type { Versions } from '../pool/versions.ts';
import { namedVersions } from '../pool/versions.ts';

/**
 * How a new checkpoint's weights reach a sampler that does not share the trainer's storage. Where it does (the bundled
 * engine, a Tinker service), the weights' own name is what the sampler is asked for.
 */
export interface Publisher {
  /**
   * Makes weights known to the sampler, or ready for its servers to be brought them, and gives the version: what the
   * sampler is asked for. Doing it twice is doing it once. The caller confirms the version with the sampler before
   * anything uses it; that is when every server gets it.
   *
   * @param weights what a trainer's `saveForSampler` gave: a `tinker://` path, or the absolute path of a folder with a
   * model or a PEFT adapter
   * @param fetch writes the weights below a folder and gives the folder's path that holds them
   * @throws ServiceError
   */
  publish(weights: string, fetch: FetchWeights, signal: AbortSignal): Promise<string>;
  /** The base model again, where a version has taken its place; absent where that cannot happen, or mends itself. */
  publishBase?(signal: AbortSignal): Promise<void>;
  /** How the sampler's servers get the versions. */
  versions: Versions;
}

/** Bound to one checkpoint's weights; see `Trainer.fetchWeights`. */
export type FetchWeights = (folder: string, signal: AbortSignal) => Promise<string>;

/** The server shares the trainer's storage, or is the same one: nothing to do. */
export const sharedStorage: Publisher = { publish: async (weights) => weights, versions: namedVersions };
