/**
 * How a new checkpoint's weights reach a sampler that does not share the trainer's storage. Where it does (the bundled
 * engine, a Tinker service), the weights' own name is what the sampler is asked for.
 */
export interface Publisher {
  /**
   * Makes weights known to every server of the sampler and gives the model name to ask for. Doing it twice is doing it
   * once. The caller confirms the name with the sampler before anything uses it.
   *
   * @param weights what a trainer's `saveForSampler` gave: a `tinker://` path, or the absolute path of a folder with a
   * model or a PEFT adapter
   * @param name readable and unique: stage, arm, step, attempt
   * @param fetch writes the weights below a folder and gives the folder's path that holds them
   * @throws ServiceError
   */
  publish(weights: string, name: string, fetch: FetchWeights, signal: AbortSignal): Promise<string>;
}

/** Bound to one checkpoint's weights; see `Trainer.fetchWeights`. */
export type FetchWeights = (folder: string, signal: AbortSignal) => Promise<string>;

/** The server shares the trainer's storage, or is the same one: nothing to do. */
export const sharedStorage: Publisher = { publish: async (weights) => weights };
