import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ServiceError } from '../errors.ts';
import type { Trainer } from './trainer.ts';

const service = 'the trainer (policy.trainer)';

const refuse = async (): Promise<never> => {
  throw new ServiceError('fatal', 'a job trains whole stages, not single steps', { service });
};

/**
 * The part of a trainer that is left where jobs train: their checkpoints are folders, which are handed on as they are.
 * How those reach the sampler is `policy.sampler.publish`.
 */
export const jobTrainer: Trainer = {
  async restore({ id, trainerState, base }) {
    if (trainerState !== null && !existsSync(join(trainerState, 'config.json')) && !isAdapter(trainerState))
      throw new ServiceError('expired', `there is no model in ${trainerState}`, { service });
    return { modelId: trainerState ?? base, nextSeqId: 1, checkpointId: id };
  },
  step: refuse,
  forward: refuse,
  save: refuse,
  saveForSampler: async (live) => ({ live, samplerModel: live.modelId }),
  fetchWeights: async (folder) => folder,
  release: async () => {},
};

const isAdapter = (folder: string): boolean => existsSync(join(folder, 'adapter_config.json'));
