import { type Capabilities, knownServers, unknownServer } from './capabilities.ts';
import { type TinkerClient, type TinkerOptions, tinkerClient } from './client.ts';
import type { ClientConfig, ServerCapabilities } from './protocol.ts';
import { isUnknownPath } from './refusal.ts';

/** What a server says about itself; null where it does not answer that question. */
export interface ServerAnswers {
  capabilities: ServerCapabilities | null;
  config: ClientConfig | null;
  /** FastAPI's description of the server. */
  openapi: { title: string; paths: string[] } | null;
}

/** Asks a server what it can, and gives a client that knows. What the options say wins. */
export async function connectTinker(options: TinkerOptions, signal: AbortSignal): Promise<TinkerClient> {
  const plain = tinkerClient(options);
  const answers: ServerAnswers = {
    capabilities: await unlessUnknown(plain.capabilities(signal)),
    config: await unlessUnknown(plain.clientConfig(signal)),
    openapi: null,
  };
  if (!describesItself(answers.capabilities) && !isHosted(options.baseUrl))
    answers.openapi = await plain.openapi(signal);
  const { config } = answers;
  const pauseSeconds = config?.billing_exception_max_pause_duration_sec;
  return tinkerClient({
    ...(pauseSeconds === undefined ? {} : { maxBillingPauseMs: pauseSeconds * 1000 }),
    tokenAuth: config?.pjwt_auth_enabled ?? false,
    ...options,
    capabilities: { ...detect(options.baseUrl, answers), ...options.capabilities },
    limits: {
      ...(config?.fwdbwd_max_chunk_len === undefined ? {} : { maxDatums: config.fwdbwd_max_chunk_len }),
      ...(config?.fwdbwd_max_chunk_bytes_count === undefined ? {} : { maxBytes: config.fwdbwd_max_chunk_bytes_count }),
      ...options.limits,
    },
  });
}

async function unlessUnknown<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    if (isUnknownPath(error)) return null;
    throw error;
  }
}

const isHosted = (baseUrl: string): boolean => /\.thinkingmachines\.(dev|ai)$/.test(new URL(baseUrl).hostname);

const describesItself = (capabilities: ServerCapabilities | null): boolean => capabilities?.wire_formats !== undefined;

/** Titles by which servers describe themselves. */
const titles: Record<string, Capabilities> = {
  'Tinker API Mock': knownServers.skyrl,
  TuFT: knownServers.tuft,
  'Open-RL Server MVP': knownServers['open-rl'],
};

export function detect(baseUrl: string, { capabilities, config, openapi }: ServerAnswers): Capabilities {
  const createByLoad = config?.create_model_via_load_weights;
  const said = createByLoad === undefined ? {} : { createByLoad };
  if (capabilities !== null && describesItself(capabilities)) {
    return { ...unknownServer, ...said, ...describedCapabilities(capabilities) };
  }
  if (isHosted(baseUrl)) return { ...knownServers.hosted, ...said };
  if (openapi === null) return { ...unknownServer, ...said };
  return { ...(titles[openapi.title] ?? { ...unknownServer, ...listedCapabilities(openapi.paths) }), ...said };
}

/** A server that says what it can in `get_server_capabilities`, as the bundled engine does. */
function describedCapabilities(said: ServerCapabilities): Partial<Capabilities> {
  const list = (name: string) => (Array.isArray(said[name]) ? (said[name] as string[]) : undefined);
  const flags = {
    fullFinetune: said.full_finetune,
    lora: said.lora,
    promptLogprobs: said.prompt_logprobs,
    topkPromptLogprobs: said.topk_prompt_logprobs,
    ephemeralSampler: said.ephemeral_sampler,
  };
  const losses = list('loss_fns');
  return {
    wire: list('wire_formats')?.includes('json') ? 'json' : 'proto',
    seqDedupe: said.seq_id === 'deduplicates' ? 'dedupe' : 'none',
    ...(losses === undefined ? {} : { losses }),
    ...Object.fromEntries(Object.entries(flags).filter(([, flag]) => typeof flag === 'boolean')),
    ...(said.heartbeats === false ? { heartbeatReap: 'none' } : {}),
    deterministicSeed: true,
  };
}

/** What a server must be able to do that has these paths. */
function listedCapabilities(paths: string[]): Partial<Capabilities> {
  const has = (pattern: RegExp) => paths.some((path) => pattern.test(path));
  const parameter = '\\{[^}]+\\}';
  const archive = new RegExp(`/checkpoints/${parameter}/archive$`);
  const archiveOfKind = new RegExp(`/checkpoints/(${parameter}/${parameter}|\\{[^}]+:path\\})/archive$`);
  return {
    forward: has(/\/api\/v1\/forward$/),
    listCheckpoints: has(new RegExp(`/training_runs/${parameter}/checkpoints$`)),
    archive: has(archiveOfKind) ? 'kind-and-name' : has(archive) ? 'name' : 'none',
  };
}
