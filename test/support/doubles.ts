import type { ActivityDeps } from '../../src/activities/deps.ts';
import { createServices, type Services } from '../../src/services/index.ts';
import type { Jobs } from '../../src/services/jobs/index.ts';
import type { Publisher } from '../../src/services/publisher/publisher.ts';
import type { Sampler } from '../../src/services/sampler/sampler.ts';
import type { ArtifactStore } from '../../src/services/store/store.ts';
import type { TextModel } from '../../src/services/text-model/text-model.ts';
import type { Trainer } from '../../src/services/trainer/trainer.ts';

/** What a test puts between the activities and what they call. */
export interface Doubles {
  sampler?: (real: Sampler) => Sampler;
  trainer?: (real: Trainer) => Trainer;
  jobs?: (real: Jobs) => Jobs;
  publisher?: (real: Publisher) => Publisher;
  store?: (real: ArtifactStore) => ArtifactStore;
  textModel?: (real: TextModel) => TextModel;
}

/** Services by policy, opened once; what is in between can differ from call to call. */
export function openScripted(): (doubles?: Doubles) => ActivityDeps['services'] {
  const open = new Map<string, Services>();
  return (doubles = {}) =>
    (policy) => {
      const key = JSON.stringify(policy);
      const services = open.get(key) ?? createServices(policy, {});
      open.set(key, services);
      return {
        renderer: services.renderer,
        jobs: services.jobs && (doubles.jobs?.(services.jobs) ?? services.jobs),
        publisher: doubles.publisher?.(services.publisher) ?? services.publisher,
        sampler: doubles.sampler?.(services.sampler) ?? services.sampler,
        trainer: doubles.trainer?.(services.trainer) ?? services.trainer,
        textModel: (role) => {
          const real = services.textModel(role);
          return doubles.textModel?.(real) ?? real;
        },
      };
    };
}
