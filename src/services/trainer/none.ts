import { ServiceError } from '../errors.ts';
import type { Trainer } from './trainer.ts';

const refuse = async (): Promise<never> => {
  throw new ServiceError('fatal', 'policy.trainer is null, so nothing can be trained: name a trainer', {
    service: 'the trainer (policy.trainer)',
  });
};

/** In the place of a trainer where a configuration has none. */
export const noTrainer: Trainer = {
  restore: refuse,
  step: refuse,
  forward: refuse,
  save: refuse,
  saveForSampler: refuse,
  fetchWeights: refuse,
  release: async () => {},
};
