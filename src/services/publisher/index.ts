import type { PublishConfig } from '../../config/publish-schema.ts';
import { commandPublisher } from './command.ts';
import { type Publisher, sharedStorage } from './publisher.ts';
import { sglangDisk } from './sglang-disk.ts';
import { vllmLora } from './vllm-lora.ts';

/** The publisher that a configuration names; nothing is contacted here. */
export function createPublisher(config: PublishConfig | undefined, env: NodeJS.ProcessEnv, base: string): Publisher {
  switch (config?.via) {
    case undefined:
    case 'shared':
      return sharedStorage;
    case 'vllm-lora':
      return vllmLora(config, env, base);
    case 'sglang-disk':
      return sglangDisk(config, env, base);
    case 'command':
      return commandPublisher(config, env, base);
  }
}
