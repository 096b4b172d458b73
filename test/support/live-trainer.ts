import type { Checkpoint } from '../../src/core/checkpoint.ts';
import { contentKey } from '../../src/core/key.ts';
import type { Json } from '../../src/core/problem.ts';
import { deriveSeed } from '../../src/core/seed.ts';
import { ServiceError } from '../../src/services/errors.ts';
import type { Datum, LiveModel, Trainer } from '../../src/services/trainer/trainer.ts';

/** Weights and optimiser as hash chains: a step lost, doubled or made with another optimiser leads elsewhere. */
interface State {
  weights: string;
  optimizer: string;
}

export interface LiveTrainer extends Trainer {
  /** What a stored checkpoint holds. @throws ServiceError (expired) */
  stateOf(checkpoint: Checkpoint): State;
  /** Makes a checkpoint vanish, as its expiry would. */
  expire(checkpoint: Checkpoint): void;
}

/** How a restore goes wrong. */
export type BadRestore = 'fresh optimiser' | 'base weights' | null;

/**
 * A trainer as services have them: models live on it and change in place, requests of a model come in the order of
 * their sequence numbers, a name is saved once, and log-probabilities depend on the weights. So what two attempts do to
 * one model shows, which the scripted trainer's pure states hide. Without `forgets` a released model lives on, as where
 * the request to forget it was lost. One that `onlyTrains` has no forward pass of its own.
 */
export function liveTrainer(
  options: { badRestore?: () => BadRestore; forgets?: boolean; onlyTrains?: boolean } = {},
): LiveTrainer {
  const models = new Map<string, { state: State; nextSeqId: number }>();
  const saved = new Map<string, State>();
  let made = 0;

  function take({ modelId, nextSeqId }: LiveModel, requests: number) {
    const model = models.get(modelId);
    if (model === undefined) throw error('lost', `${modelId} is not loaded`);
    if (model.nextSeqId !== nextSeqId) throw error('fatal', `sequence number ${nextSeqId} of ${modelId} was reused`);
    model.nextSeqId += requests;
    return model;
  }

  function find(path: string): State {
    const state = saved.get(path);
    if (state === undefined) throw error('expired', `Checkpoint ${path} does not exist (or expired)`);
    return state;
  }

  function keep(live: LiveModel, kind: string, name: string): string {
    const { state } = take(live, 1);
    const path = `tinker://${live.modelId}/${kind}/${name}`;
    if (saved.has(path)) throw error('fatal', `Checkpoint ${path} exists already`);
    saved.set(path, { ...state });
    return path;
  }

  const next = (live: LiveModel, requests: number): LiveModel => ({ ...live, nextSeqId: live.nextSeqId + requests });

  return {
    async restore(checkpoint, { optimizer }, signal) {
      signal.throwIfAborted();
      const base: State = { weights: contentKey(checkpoint.base), optimizer: 'fresh' };
      const state = checkpoint.trainerState === null ? base : { ...find(checkpoint.trainerState) };
      const bad = options.badRestore?.() ?? null;
      if (!optimizer || bad === 'fresh optimiser') state.optimizer = 'fresh';
      if (bad === 'base weights') state.weights = base.weights;
      made += 1;
      const modelId = `run-${made}`;
      models.set(modelId, { state, nextSeqId: 1 });
      return { modelId, nextSeqId: 1, checkpointId: checkpoint.id };
    },
    async step(live, data, loss, adam, signal) {
      signal.throwIfAborted();
      const model = take(live, 2);
      const { weights, optimizer } = model.state;
      const batch = { data, loss, adam } as unknown as Json;
      model.state = {
        weights: contentKey({ weights, optimizer, batch }),
        optimizer: contentKey({ optimizer, batch }),
      };
      return { live: next(live, 2), result: { loss: 1, logprobs: logprobsOf(weights, data), metrics: {} } };
    },
    async forward(live, data) {
      const { weights } = take(live, 1).state;
      return { live: next(live, 1), logprobs: options.onlyTrains ? null : logprobsOf(weights, data) };
    },
    async save(live, name) {
      const trainerState = keep(live, 'weights', name);
      return { live: next(live, 1), trainerState };
    },
    async saveForSampler(live, name) {
      const samplerModel = keep(live, 'sampler_weights', name);
      return { live: next(live, 1), samplerModel };
    },
    async fetchWeights() {
      throw error('fatal', 'models of this trainer have no files');
    },
    async release({ modelId }) {
      if (options.forgets !== false) models.delete(modelId);
    },
    stateOf: ({ trainerState }) => find(trainerState ?? ''),
    expire: ({ trainerState }) => void saved.delete(trainerState ?? ''),
  };
}

const logprobsOf = (weights: string, data: readonly Datum[]): number[][] =>
  data.map(({ tokens }) => tokens.map((token, at) => (at === 0 ? 0 : -(deriveSeed(weights, token, at) % 1000) / 500)));

const error = (kind: 'lost' | 'expired' | 'fatal', message: string) =>
  new ServiceError(kind, message, { service: 'trainer' });
