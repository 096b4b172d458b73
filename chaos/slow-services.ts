import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ActivityDeps } from '../src/activities/deps.ts';
import { createRandom, deriveSeed } from '../src/core/seed.ts';
import { openServices } from '../src/services/index.ts';
import type { Sampler } from '../src/services/sampler/sampler.ts';
import type { Trainer } from '../src/services/trainer/trainer.ts';
import { journalFile, readJournal } from './journal.ts';

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
 * served is in a journal on disk, one line a call in the form of the engine's, written before the answer leaves.
 */
export function slowServices({ folder, latencyMs }: SlowServicesOptions): ActivityDeps['services'] {
  const open = openServices({});
  const journal = journalFile(folder);
  const takeTime = (id: string, signal: AbortSignal) => sleep(latencyOf(id, latencyMs), undefined, { signal });

  const slowSampler = (sampler: Sampler): Sampler => ({
    ...sampler,
    async sample(request, signal) {
      await takeTime(request.callId, signal);
      const result = await sampler.sample(request, signal);
      const line = {
        call: request.callId,
        attempt: request.attempt,
        model: request.model,
        prompt_tokens: result.promptTokens,
        completion_tokens: result.completionTokens,
        delivered: true,
        time: Date.now() / 1000,
      };
      appendFileSync(journal, `${JSON.stringify(line)}\n`);
      return result;
    },
    async served(prefix) {
      const lines = readJournal(folder).filter((line) => line.call.startsWith(prefix));
      return { calls: lines.length, tokens: lines.reduce((sum, line) => sum + line.completionTokens, 0) };
    },
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
