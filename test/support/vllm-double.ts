import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type ModelServer, type ModelServerOptions, Refusal, startModelServer } from './model-server.ts';

export interface VllmDouble extends ModelServer {
  /** Path of each adapter that is loaded, by its name. */
  adapters: ReadonlyMap<string, string>;
}

/**
 * vLLM with `--enable-lora` and runtime updates: adapters are loaded from its disk by name and listed among the models,
 * a name that is taken and a path without an adapter are refused, and a model that it does not have is a 404.
 */
export async function startVllm(options: ModelServerOptions & { base: string; lora?: boolean }): Promise<VllmDouble> {
  const { base, lora = true } = options;
  const adapters = new Map<string, string>();
  const list = () => server.behave({ models: [base, ...adapters.keys()] });
  const server = await startModelServer({
    ...options,
    behaviour: { ...options.behaviour, models: [base] },
    route({ method, path, body }) {
      if (!lora || (path !== '/v1/load_lora_adapter' && path !== '/v1/unload_lora_adapter')) return undefined;
      if (method !== 'POST') throw new Refusal(405, 'Method Not Allowed');
      const { lora_name: name, lora_path: folder } = body as { lora_name: string; lora_path: string };
      if (path === '/v1/unload_lora_adapter') {
        if (!adapters.delete(name)) throw new Refusal(404, `The lora adapter '${name}' cannot be found.`);
        list();
        return `Success: LoRA adapter '${name}' removed successfully.`;
      }
      if (adapters.has(name)) throw new Refusal(400, `The lora adapter '${name}' has already been loaded.`);
      if (!existsSync(join(folder, 'adapter_config.json')))
        throw new Refusal(404, `Loading lora ${name} failed: No adapter found for ${folder}`);
      adapters.set(name, folder);
      list();
      return `Success: LoRA adapter '${name}' added successfully.`;
    },
  });
  return { ...server, adapters };
}
