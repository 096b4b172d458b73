/** How servers of this protocol differ, as values. Nothing else in the client asks which server it speaks to. */
export interface Capabilities {
  /** How passes over data travel: `json`, or protobuf. A server that refuses JSON (415) is sent protobuf from then on. */
  wire: 'json' | 'proto';
  /** A training request sent twice under one `seq_id` is executed once, refused, or executed twice. */
  seqDedupe: 'dedupe' | 'conflict' | 'none';
  /** Losses of `forward_backward`; null: not known. */
  losses: readonly string[] | null;
  /** Passes without a gradient. */
  forward: boolean;
  promptLogprobs: boolean;
  topkPromptLogprobs: boolean;
  fullFinetune: boolean;
  lora: boolean;
  /** Saved weights can be listed. */
  listCheckpoints: boolean;
  /** Weights can be sampled without being saved under a name. */
  ephemeralSampler: boolean;
  /** `load_weights` also makes the model. */
  createByLoad: boolean;
  /** Weights can only be loaded before anything else was done with a model. */
  loadOnlyFirst: boolean;
  /** A save that is repeated is answered 409: the first one was accepted. */
  saveConflictMeansDone: boolean;
  /**
   * Whose models are unloaded when heartbeats stop: `silent`: any session's, so it must beat; `beaten`: of sessions that
   * have beaten once, so the models of one that never does outlive its process; `none`.
   */
  heartbeatReap: 'silent' | 'beaten' | 'none';
  /**
   * What saved sampler weights are sampled from: `stored`: the weights, always; `live`: the model that saved them, so only
   * while it is loaded, and as it is then.
   */
  samplerWeights: 'stored' | 'live';
  /**
   * What is minimised: `sum`: losses summed over all tokens of a step's data; `row-mean`: each datum's loss divided by the
   * sum of its weights (1 a target where there are none), then averaged over the data.
   */
  lossReduction: 'sum' | 'row-mean';
  /** `grad_clip_norm` is obeyed. */
  gradClip: boolean;
  /** The same seed gives the same samples. */
  deterministicSeed: boolean;
  /** Weights can be downloaded, asked for by `<kind>/<name>` or by their bare name. */
  archive: 'kind-and-name' | 'name' | 'none';
}

/** Careful enough for a server that nothing is known about: what it lacks it refuses, and that can be told. */
export const unknownServer: Capabilities = {
  wire: 'json',
  seqDedupe: 'none',
  losses: null,
  forward: true,
  promptLogprobs: true,
  topkPromptLogprobs: true,
  fullFinetune: true,
  lora: true,
  listCheckpoints: true,
  ephemeralSampler: true,
  createByLoad: false,
  loadOnlyFirst: true,
  saveConflictMeansDone: false,
  heartbeatReap: 'silent',
  samplerWeights: 'stored',
  lossReduction: 'sum',
  gradClip: true,
  deterministicSeed: false,
  archive: 'kind-and-name',
};

const rl = ['cross_entropy', 'importance_sampling', 'ppo'];

/** What is known of servers, each as of the version that was read or run. */
export const knownServers = {
  /** thinkingmachines.dev, as the SDK 0.38 uses it. */
  hosted: {
    ...unknownServer,
    wire: 'proto',
    seqDedupe: 'dedupe',
    losses: [...rl, 'cispo', 'dro'],
    fullFinetune: false,
    createByLoad: true,
    saveConflictMeansDone: true,
    deterministicSeed: true,
  },
  /** SkyRL 0.4.0 with its JAX backend. */
  skyrl: {
    ...unknownServer,
    wire: 'proto',
    seqDedupe: 'dedupe',
    losses: [...rl, 'cispo'],
    topkPromptLogprobs: false,
    fullFinetune: false,
    saveConflictMeansDone: true,
    heartbeatReap: 'beaten',
    samplerWeights: 'live',
    lossReduction: 'row-mean',
    gradClip: false,
    deterministicSeed: true,
    archive: 'name',
  },
  /** TuFT 0.2. */
  tuft: {
    ...unknownServer,
    wire: 'proto',
    seqDedupe: 'conflict',
    losses: [...rl, 'cispo', 'dro'],
    fullFinetune: false,
  },
  /** Open-RL of April 2026. */
  'open-rl': {
    ...unknownServer,
    losses: rl,
    forward: false,
    promptLogprobs: false,
    topkPromptLogprobs: false,
    fullFinetune: false,
    listCheckpoints: false,
    loadOnlyFirst: false,
    archive: 'none',
  },
} as const satisfies Record<string, Capabilities>;

export type KnownServer = keyof typeof knownServers;
