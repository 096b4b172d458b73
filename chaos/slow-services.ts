import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ActivityDeps } from '../src/activities/deps.ts';
import type { ServedCall } from '../src/core/ledger/types.ts';
import { createRandom, deriveSeed } from '../src/core/seed.ts';
import { openServices } from '../src/services/index.ts';
import type { Sampler } from '../src/services/sampler/sampler.ts';
import type { Trainer } from '../src/services/trainer/trainer.ts';

export interface SlowServicesOptions {
  /** Where the journal is kept. */
  folder: string;
  /** Most that a call takes; how long each one does follows from its id. */
  latencyMs: number;
}

/** Milliseconds that a call takes, the same whenever it is made. */
export function latencyOf(id: string, mostMs: number): number {
  return mostMs === 0 ? 0 : createRandom(deriveSeed('latency', id)).int(mostMs);
}

/**
 * The scripted services as a remote service would be: a call takes time, so that a kill can fall into it, and what was
 * served is in a journal on disk, one line a call, written before the answer leaves.
 */
export function slowServices({ folder, latencyMs }: SlowServicesOptions): ActivityDeps['services'] {
  const open = openServices({});
  const file = join(folder, 'usage.jsonl');
  const takeTime = (id: string, signal: AbortSignal) => sleep(latencyOf(id, latencyMs), undefined, { signal });

  const slowSampler = (sampler: Sampler): Sampler => ({
    ...sampler,
    async sample(request, signal) {
      await takeTime(request.callId, signal);
      const result = await sampler.sample(request, signal);
      const line: ServedCall = {
        id: request.callId,
        activity: request.activity ?? '',
        attempt: request.attempt,
        promptTokens: result.promptTokens,
        completionTokens: result.completionTokens,
        delivered: true,
      };
      appendFileSync(file, `${JSON.stringify(line)}\n`);
      return result;
    },
    async served(prefix) {
      const lines = readJournal(file, prefix);
      return { calls: lines.length, tokens: lines.reduce((sum, line) => sum + line.completionTokens, 0) };
    },
    journal: async (prefix) => readJournal(file, prefix),
  });

  const slowTrainer = (trainer: Trainer): Trainer => ({
    ...trainer,
    async step(live, ...rest) {
      const signal = rest[3];
      await takeTime(live.modelId, signal);
      return trainer.step(live, ...rest);
    },
  });

  return (policy) => {
    const services = open(policy);
    return { ...services, sampler: slowSampler(services.sampler), trainer: slowTrainer(services.trainer) };
  };
}

/** Lines of whole calls; a last one that a kill cut short was not served. */
function readJournal(file: string, prefix: string): ServedCall[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as ServedCall).filter(({ id }) => id.startsWith(prefix));
}
