import { z } from 'zod';
import { envOr } from './env-or.ts';

/** How a new checkpoint's weights reach the sampler: `docs/services.md`, "How new weights reach the sampler". */

const timeoutMs = (value: number) => z.int().min(1).default(value);

/** Absolute, on storage that workers and servers see under the same path. */
const folder = envOr;

export const publish = z.discriminatedUnion('via', [
  /** The sampler serves what the trainer saved, by its name: it is the same service, or shares its storage. */
  z.strictObject({ via: z.literal('shared') }),
  /** Adapters, loaded into every vLLM server under a name for each version. */
  z.strictObject({
    via: z.literal('vllm-lora'),
    folder,
    /** Versions that stay loaded; older ones are loaded again when they are asked for. */
    keep: z.int().min(2).default(8),
    timeoutMs: timeoutMs(300_000),
  }),
  /** SGLang: full models replace the one that is served, adapters are loaded beside it. */
  z.strictObject({
    via: z.literal('sglang-disk'),
    folder,
    /** The base model as the server loads it (a folder, or a hub's name): what replaces a version again. */
    base: z.string().min(1),
    timeoutMs: timeoutMs(600_000),
  }),
  /** A program of yours: it is done when the sampler serves the weights. */
  z.strictObject({
    via: z.literal('command'),
    /** Program and arguments; `{weights}` and `{name}` are replaced, also inside one. Without either, both are added. */
    command: z.array(z.string().min(1)).min(1),
    /** Where weights of a trainer behind an API are downloaded to first; left out, `{weights}` is what it names. */
    folder: folder.optional(),
    /** `{weights}` of the base model, for a sampler that serves one model at a time. */
    base: z.string().min(1).optional(),
    timeoutMs: timeoutMs(900_000),
  }),
]);

export type PublishConfig = z.output<typeof publish>;
