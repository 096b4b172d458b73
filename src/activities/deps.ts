import type { PolicyConfig } from '../config/schema.ts';
import type { Services } from '../services/index.ts';
import type { ArtifactStore } from '../services/store/store.ts';

/** What activities are made of. Tests pass their own; the worker passes the real ones. */
export interface ActivityDeps {
  store: ArtifactStore;
  /** Sampler, trainer and renderer of a policy; addresses are resolved at the moment of each call. */
  services(policy: PolicyConfig): Services;
}
