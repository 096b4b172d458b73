import type { PublishConfig } from '../../config/publish-schema.ts';
import { ServiceError } from '../errors.ts';
import { callRoute, listModels, type Server } from '../pool/server.ts';
import { loadAdapter } from './lora-routes.ts';
import type { Publisher } from './publisher.ts';
import { versionName } from './version-name.ts';
import { weightsFolder } from './weights-folder.ts';

type Config = Extract<PublishConfig, { via: 'sglang-disk' }>;

/** What SGLang calls the weights that it was started with. */
const STARTED_WITH = 'default';
export const updateRoute = {
  path: '/update_weights_from_disk',
  start: 'serve the model with SGLang, or publish otherwise',
};
const loadRoute = {
  path: '/load_lora_adapter',
  start: 'start SGLang with --enable-lora, --max-lora-rank and --lora-target-modules',
};

/**
 * Weights for SGLang, from shared storage. A full model replaces the one that is served, under a weight version that
 * every answer carries; what was served before is gone, and is loaded again when somebody asks for it. An adapter is
 * loaded beside the base.
 */
export function sglangDisk(config: Config, env: NodeJS.ProcessEnv, base: string): Publisher {
  const stored = weightsFolder(config, env);
  const { timeoutMs } = config;
  const isAdapter = (version: string) => version.endsWith(ADAPTER);
  /** The version of the one full model that must be there for it. */
  const modelOf = (version: string) => (isAdapter(version) ? base : version);
  const isFrom = (version: string, said: string) =>
    said === modelOf(version) || (modelOf(version) === base && said === STARTED_WITH);

  async function replace(version: string, folder: string, server: Server, signal: AbortSignal): Promise<void> {
    // Without the flush, prefixes of the old weights would answer for the new ones.
    const body = { model_path: folder, weight_version: version, flush_cache: true };
    const said = await callRoute(server, { method: 'post', path: updateRoute.path, body }, timeoutMs, signal);
    const { success, message } = said as { success?: boolean; message?: string };
    if (success === true) return;
    const why = `${server.of.name} at ${server.root} did not load ${folder}: ${message ?? JSON.stringify(said)}`;
    throw new ServiceError('retryable', why, { service: server.of.name });
  }

  async function hasModel(version: string, server: Server, signal: AbortSignal): Promise<boolean> {
    return isFrom(version, await weightVersion(server, timeoutMs, signal));
  }

  return {
    async publish(weights, fetch, signal) {
      const name = versionName(weights);
      const versionOf = (kind: string) => (kind === 'adapter' ? name + ADAPTER : name);
      return (await stored.take(weights, versionOf, fetch, signal)).version;
    },

    versions: {
      concerns: () => true,
      fields: (version) => ({
        model: base,
        cache_salt: version,
        ...(isAdapter(version) && { lora_path: version }),
      }),
      isFrom,
      async has(version, server, signal) {
        if (!(await hasModel(version, server, signal))) return false;
        return !isAdapter(version) || (await listModels(server, timeoutMs, signal)).includes(version);
      },
      async bring(version, server, signal) {
        const model = modelOf(version);
        if (!(await hasModel(version, server, signal))) {
          const folder = model === base ? config.base : (await stored.require(version)).folder;
          await replace(model, folder, server, signal);
        }
        if (isAdapter(version)) await loadAdapter(server, loadRoute, await stored.require(version), timeoutMs, signal);
      },
      exclusive: true,
      timeoutMs,
    },
  };
}

const ADAPTER = '-lora';

/** Newer servers have it among what they say of the model, older ones by itself. @throws ServiceError */
export async function weightVersion(server: Server, timeoutMs: number, signal: AbortSignal): Promise<string> {
  for (const path of ['/model_info', '/get_model_info', '/get_weight_version']) {
    try {
      const said = (await callRoute(server, { method: 'get', path }, timeoutMs, signal)) as {
        weight_version?: unknown;
      };
      if (typeof said?.weight_version === 'string') return said.weight_version;
    } catch (error) {
      if (!(error instanceof ServiceError) || (error.status !== 404 && error.status !== 405)) throw error;
    }
  }
  const message = `${server.of.name} at ${server.root} does not say which weights it has: publish by "sglang-disk" needs SGLang`;
  throw new ServiceError('fatal', message, { service: server.of.name });
}
