import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type ModelServer, type ModelServerOptions, Refusal, startModelServer } from './model-server.ts';

export interface SglangDouble extends ModelServer {
  /** The full model that it has, and the version that it calls it by. */
  weights(): { path: string; version: string };
  adapters: ReadonlyMap<string, string>;
  /** As somebody else would replace them. */
  load(path: string, version: string): void;
}

/**
 * SGLang: one full model, replaced from disk under a version that every answer carries; adapters beside it, asked for as
 * `lora_path`. The name of the model in a request does not matter to it.
 */
export async function startSglang(
  options: ModelServerOptions & { base: string; basePath: string },
): Promise<SglangDouble> {
  let weights = { path: options.basePath, version: 'default' };
  const adapters = new Map<string, string>();
  const list = () => server.behave({ models: [options.base, ...adapters.keys()] });
  const server = await startModelServer({
    ...options,
    behaviour: {
      isVllm: false,
      sameSamples: true,
      stops: 'removed',
      stopReason: false,
      ...options.behaviour,
      models: [options.base],
    },
    route({ method, path, body }) {
      if (path === '/model_info') return { model_path: weights.path, weight_version: weights.version };
      if (path === '/update_weights_from_disk') {
        if (method !== 'POST') throw new Refusal(405, 'Method Not Allowed');
        const model = String(body.model_path);
        if (model !== options.basePath && !existsSync(join(model, 'config.json')))
          throw new Refusal(400, `Failed to get weights iterator: there is no model in ${model}`);
        weights = { path: model, version: String(body.weight_version ?? weights.version) };
        return { success: true, message: 'Succeeded to update model weights.', num_paused_requests: 0 };
      }
      if (path === '/load_lora_adapter') {
        if (method !== 'POST') throw new Refusal(405, 'Method Not Allowed');
        adapters.set(String(body.lora_name), String(body.lora_path));
        list();
        return { success: true, loaded_adapters: Object.fromEntries(adapters) };
      }
      return undefined;
    },
    weights(body) {
      const adapter = body.lora_path === undefined ? null : String(body.lora_path);
      if (adapter !== null && !adapters.has(adapter)) throw new Refusal(400, `${adapter} is not loaded`);
      const says = { metadata: { weight_version: weights.version } };
      return { name: `${weights.path} ${adapter ?? ''}`, says };
    },
  });
  return {
    ...server,
    adapters,
    weights: () => weights,
    load: (path, version) => {
      weights = { path, version };
    },
  };
}
