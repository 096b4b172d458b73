import { createReadStream, existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Journal } from '../accounts/read-accounts.ts';
import type { PolicyConfig, RoleModelConfig } from '../config/schema.ts';
import type { ServedCall } from '../core/ledger/types.ts';
import { engineVariable } from '../services/address.ts';
import type { Services } from '../services/index.ts';

/** A line of the engine's journal; see `engine/journal.py`. */
interface Line {
  call: string;
  activity?: string;
  attempt: number;
  prompt_tokens: number;
  completion_tokens: number;
  delivered: boolean;
}

/** The journal of an engine that does not run, from its file. */
export function fileJournal(file: string): Journal {
  return {
    async journal(callPrefix, signal) {
      const served: ServedCall[] = [];
      for await (const line of createInterface({ input: createReadStream(file, { signal }) })) {
        // Most lines belong to other stages; a last one that was cut short is no call that was answered.
        const read = line.includes(`"call":${JSON.stringify(callPrefix).slice(0, -1)}`) && line.endsWith('}');
        if (!read) continue;
        const { call, activity = '', attempt, prompt_tokens, completion_tokens, delivered } = JSON.parse(line) as Line;
        const tokens = { promptTokens: prompt_tokens, completionTokens: completion_tokens };
        if (call.startsWith(callPrefix)) served.push({ id: call, activity, attempt, ...tokens, delivered });
      }
      return served;
    },
  };
}

/** The services, those on the bundled engine with the journal that it left in its folder. */
export function withEngineFile(
  services: Pick<Services, 'sampler' | 'textModel' | 'renderer'>,
  policy: PolicyConfig,
  file: string,
): Pick<Services, 'sampler' | 'textModel' | 'renderer'> {
  if (!existsSync(file)) return services;
  const left = fileJournal(file);
  const usesEngine = (of: PolicyConfig['sampler'] | RoleModelConfig): boolean => {
    if (of.kind === 'policy') return usesEngine(policy.sampler);
    return 'baseUrl' in of && typeof of.baseUrl === 'object' && of.baseUrl.env === engineVariable;
  };
  return {
    renderer: services.renderer,
    sampler: usesEngine(policy.sampler) ? { ...services.sampler, ...left } : services.sampler,
    textModel: (role) => (usesEngine(role) ? { ...services.textModel(role), ...left } : services.textModel(role)),
  };
}
