import { z } from 'zod';
import { address, secret } from './env-or.ts';
import { jobTrainer } from './job-schema.ts';
import { publish } from './publish-schema.ts';

/** The sections of a configuration that name services: who samples, who trains, who fills a role. */

const count = z.int().min(1);

/** First digits of the SHA-256 of the bundled base model's weights; a test holds it against the file. */
export const bundledRevision = 'sha256:bfd8498ef621';

/** Most requests at once to the service's address; what it can take below that is found out (`src/core/aimd.ts`). */
const maxConcurrency = count.max(10_000).optional();

/** One of several servers with the same models. */
const endpoint = z.strictObject({
  /** By which calls are recorded; left out, `server-0`, `server-1`, … */
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._-]{0,39}$/, 'use 1 to 40 of a-z, 0-9, ".", "_", "-"')
    .optional(),
  baseUrl: address,
  apiKey: secret.optional(),
  maxConcurrency,
});

const openaiSampler = z.strictObject({
  kind: z.literal('openai'),
  /** May hold several addresses, separated by commas or spaces: servers with the same models, used as one. */
  baseUrl: address.default({ env: 'ASTROFLOW_ENGINE_URL' }),
  /** The same, with keys and limits of their own; used instead of `baseUrl`. */
  endpoints: z.array(endpoint).min(1).max(256).optional(),
  apiKey: secret.optional(),
  timeoutMs: count.default(120_000),
  maxConcurrency,
  /** What is sent: token ids (vLLM, SGLang, the bundled engine), or text to servers that take and give only text. */
  prompts: z.enum(['tokens', 'text']).default('tokens'),
  /**
   * What is sent as `priority`, lower first: a number, or whose turn comes first. `short-first`: prompt and longest
   * answer in tokens; `old-first`: when the call began. Left out, none is sent.
   */
  priority: z.union([z.int().min(-1_000_000).max(1_000_000), z.enum(['short-first', 'old-first'])]).optional(),
  /** Left out: the sampler serves the trainer's names (`shared`). */
  publish: publish.optional(),
});
/** What a Tinker server can, where the client does not find it out by itself (`src/services/tinker/README.md`). */
const tinkerCapabilities = z
  .strictObject({
    wire: z.enum(['json', 'proto']),
    seqDedupe: z.enum(['dedupe', 'conflict', 'none']),
    saveConflictMeansDone: z.boolean(),
    heartbeatReap: z.enum(['silent', 'beaten', 'none']),
    samplerWeights: z.enum(['stored', 'live']),
    lossReduction: z.enum(['sum', 'row-mean']),
    forward: z.boolean(),
    archive: z.enum(['kind-and-name', 'name', 'none']),
  })
  .partial()
  .optional();

const tinkerSampler = z.strictObject({
  kind: z.literal('tinker'),
  baseUrl: address.default({ env: 'ASTROFLOW_ENGINE_URL' }),
  apiKey: secret.optional(),
  timeoutMs: count.default(120_000),
  maxConcurrency,
  capabilities: tinkerCapabilities,
});
const scripted = z.strictObject({ kind: z.literal('scripted') });
const tinkerTrainer = z.strictObject({
  kind: z.literal('tinker'),
  baseUrl: address.default({ env: 'ASTROFLOW_ENGINE_URL' }),
  apiKey: secret.optional(),
  timeoutMs: count.default(120_000),
  /** LoRA rank; null trains all parameters, where the server can. The bundled engine does both. */
  loraRank: count.nullable().default(null),
  /**
   * Whether the output layer has an adapter too; left out, it has one, as services do by themselves. vLLM loads such
   * adapters for few models.
   */
  loraUnembed: z.boolean().optional(),
  capabilities: tinkerCapabilities,
});

export const policy = z.strictObject({
  /** The base model's name, as sampler and trainer know it. */
  base: z.string().min(1).default('astroflow-countdown'),
  /** Anything that changes when the base's weights do; part of every content key. */
  revision: z.string().default(bundledRevision),
  /** Folder with tokenizer.json, relative to the repository or absolute; `bytes`: UTF-8 bytes, for models we only script. */
  tokenizer: z.string().min(1).default('engine/base/model'),
  /** `chat`: the model's own chat template, from its tokenizer folder. `plain`: the messages' texts, joined. */
  template: z.enum(['plain', 'chat']).default('plain'),
  sampler: z
    .discriminatedUnion('kind', [openaiSampler, tinkerSampler, scripted])
    .default({ kind: 'openai', baseUrl: { env: 'ASTROFLOW_ENGINE_URL' }, timeoutMs: 120_000, prompts: 'tokens' }),
  /** Null: nothing is trained; the run searches, writes traces and scores the base model. */
  trainer: z
    .discriminatedUnion('kind', [tinkerTrainer, jobTrainer, scripted])
    .nullable()
    .default({ kind: 'tinker', baseUrl: { env: 'ASTROFLOW_ENGINE_URL' }, timeoutMs: 120_000, loraRank: null }),
});

const chatModel = z.strictObject({
  kind: z.literal('openai-chat'),
  /** As the server knows it. */
  model: z.string().min(1),
  baseUrl: address,
  apiKey: secret.optional(),
  timeoutMs: count.default(120_000),
  maxConcurrency,
});
/** Who fills a role: the policy's own base model, another one behind `/v1/chat/completions`, or a script. */
export const roleModel = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('policy') }),
  chatModel,
  scripted,
]);
