import type { PublishConfig } from '../../config/publish-schema.ts';
import { ServiceError } from '../errors.ts';
import { listModels, type Server } from '../pool/server.ts';
import { loadAdapter, unloadAdapter } from './lora-routes.ts';
import type { Publisher } from './publisher.ts';
import { versionName } from './version-name.ts';
import { weightsFolder } from './weights-folder.ts';

type Config = Extract<PublishConfig, { via: 'vllm-lora' }>;

const service = 'the publisher (policy.sampler.publish)';
export const loadRoute = {
  path: '/v1/load_lora_adapter',
  start: 'start vLLM with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True',
};

/**
 * Adapters for vLLM: each version is an adapter with a name of its own, so the `model` of a request is the version, and
 * the prefix cache of one cannot be another's. The checkpoint's files are brought to shared storage first where the
 * trainer keeps them.
 */
export function vllmLora(config: Config, env: NodeJS.ProcessEnv, base: string): Publisher {
  const stored = weightsFolder(config, env);
  const { timeoutMs, keep } = config;

  /** Unloads what has not been brought for longest; it is loaded again when it is asked for. */
  async function tidy(server: Server, version: string, signal: AbortSignal): Promise<void> {
    const ours = (await stored.list()).filter((name) => name !== version);
    const old = new Set(ours.slice(keep - 1));
    for (const name of await listModels(server, timeoutMs, signal)) {
      if (old.has(name)) await unloadAdapter(server, '/v1/unload_lora_adapter', name, timeoutMs, signal);
    }
  }

  return {
    async publish(weights, fetch, signal) {
      const { kind, folder, version } = await stored.take(weights, () => versionName(weights), fetch, signal);
      if (kind === 'adapter') return version;
      const message =
        `${folder} holds a full model, and vLLM loads only adapters while it runs: train LoRA (policy.trainer.loraRank, or ` +
        'the recipe\'s own option), or publish by "sglang-disk" or "command" (policy.sampler.publish.via)';
      throw new ServiceError('fatal', message, { service });
    },

    versions: {
      concerns: (version) => version !== base,
      fields: (version) => ({ model: version, cache_salt: version }),
      isFrom: () => true,
      async has(version, server, signal) {
        if (!(await listModels(server, timeoutMs, signal)).includes(version)) return false;
        // Whoever asks is about to use it.
        await stored.touch(version);
        return true;
      },
      async bring(version, server, signal) {
        await loadAdapter(server, loadRoute, await stored.require(version), timeoutMs, signal);
        await stored.touch(version);
        await tidy(server, version, signal);
      },
      exclusive: false,
      timeoutMs,
    },
  };
}
