import { contentKey } from '../../core/key.ts';
import type { Json } from '../../core/problem.ts';
import { defaultTasks } from '../../core/tasks/index.ts';
import { ServiceError } from '../errors.ts';
import type { Renderer } from '../renderer/renderer.ts';
import { sumLoss } from '../trainer/loss.ts';
import type { Datum, Trainer } from '../trainer/trainer.ts';
import { scriptedLogprob } from './sampler.ts';

export interface ScriptedTrainerOptions {
  renderer: Renderer;
  /** Called before every operation; what it returns is thrown instead of a result. */
  faults?: (operation: keyof Trainer) => ServiceError | undefined;
}

const SCHEME = 'scripted://';
const SAMPLER = '/sampler';

/**
 * A trainer without a model, for tests. A state is a hash chain: every optimiser step hashes the state before it, the
 * batch, the loss and Adam's parameters. So two states are equal exactly when the same steps were applied in the same
 * order, once each: a step lost or applied twice shows. All state is in the strings that it returns, in any process.
 *
 * A model learns to go back from data that does: its names then contain "search", which the scripted sampler reads.
 */
export function scriptedTrainer({ renderer, faults }: ScriptedTrainerOptions): Trainer {
  function begin(operation: keyof Trainer, signal: AbortSignal): void {
    signal.throwIfAborted();
    const fault = faults?.(operation);
    if (fault) throw fault;
  }

  const markers = defaultTasks().map((task) => task.phrases.backtrackMarker);
  const goesBack = (data: Datum[]) =>
    data.some((datum) => {
      const text = renderer.decode(datum.tokens);
      return markers.some((marker) => text.includes(marker));
    });

  return {
    async restore(checkpoint, { optimizer }, signal) {
      begin('restore', signal);
      const state = checkpoint.trainerState ?? chain(false, { base: checkpoint.base });
      checkState(state);
      // Without its optimiser a trained state is another point: the steps after it differ.
      const fresh = !optimizer && checkpoint.trainerState !== null;
      const modelId = fresh ? chain(searches(state), { state, optimizer: 'fresh' }) : state;
      return { modelId, nextSeqId: 1, checkpointId: checkpoint.id };
    },

    async step(live, data, loss, adam, signal) {
      begin('step', signal);
      checkState(live.modelId);
      const modelId = chain(searches(live.modelId) || goesBack(data), { state: live.modelId, data, loss, adam });
      const logprobs = logprobsOf(data);
      const total = sumLoss(loss, data, logprobs);
      return {
        live: { ...live, modelId, nextSeqId: live.nextSeqId + 2 },
        result: { loss: total, logprobs, metrics: { 'loss:sum': total } },
      };
    },

    async forward(live, data, signal) {
      begin('forward', signal);
      checkState(live.modelId);
      return { live: { ...live, nextSeqId: live.nextSeqId + 1 }, logprobs: logprobsOf(data) };
    },

    async save(live, _name, _options, signal) {
      begin('save', signal);
      return { live: { ...live, nextSeqId: live.nextSeqId + 1 }, trainerState: live.modelId };
    },

    async saveForSampler(live, _name, signal) {
      begin('saveForSampler', signal);
      return { live: { ...live, nextSeqId: live.nextSeqId + 1 }, samplerModel: `${live.modelId}${SAMPLER}` };
    },

    async fetchWeights() {
      throw new ServiceError('fatal', 'scripted models have no weights', { service: 'scripted trainer' });
    },

    async release() {},
  };
}

const logprobsOf = (data: readonly Datum[]): number[][] =>
  data.map((datum) => datum.tokens.map((token, at) => (at === 0 ? 0 : scriptedLogprob(token))));

/** Next state of the chain: a hash of its canonical content, marked when it has learnt to go back. */
function chain(search: boolean, content: object): string {
  return `${SCHEME}${search ? 'search-' : ''}${contentKey(content as Json)}`;
}

const searches = (state: string): boolean => state.startsWith(`${SCHEME}search-`);

function checkState(state: string): void {
  if (/^scripted:\/\/(search-)?[0-9a-f]{16}$/.test(state)) return;
  throw new ServiceError('fatal', `${JSON.stringify(state)} is not a state of the scripted trainer`, {
    service: 'scripted trainer',
  });
}
