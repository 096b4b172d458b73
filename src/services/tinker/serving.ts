import { unlessAborted } from './abort.ts';
import type { TinkerClient } from './client.ts';
import { TinkerError } from './errors.ts';
import { type LoraConfig, parseTinkerPath, type WeightsInfo } from './protocol.ts';
import { livingSession } from './session.ts';
import { trainingModel } from './training-model.ts';

/** Most models that serve at once, of one process: the versions that a run samples from at a time are one or two. */
const SERVING = 4;
const UNLOAD_MS = 10_000;

interface Served {
  /** Resolves to what is sampled from. */
  path: Promise<string>;
  /** Once it is there. */
  model: { id: string; path: string } | null;
  users: number;
}

/**
 * Sampling from saved weights where the server samples only from loaded models, as they are at that moment
 * (`samplerWeights: 'live'`): weights are sampled through a model of their own, made from the training state that was
 * saved under the same name. Nobody trains it, so it stays what it is. One that is gone is made anew; one that nobody
 * uses is given up when there are too many.
 */
export function servingModels(client: TinkerClient) {
  /** The least recently used first. */
  const served = new Map<string, Served>();
  const session = livingSession(client, () => served.clear());

  function unload(modelId: string): Promise<unknown> {
    const signal = AbortSignal.timeout(UNLOAD_MS);
    const unloading = client.unloadModel(modelId, signal).then((pending) => pending.result());
    return unloading.catch(() => {});
  }

  /** Whether one that nobody uses was given up; its copy of the weights goes with it. */
  async function giveUpOne(): Promise<boolean> {
    for (const [weights, { users, model }] of served) {
      if (users > 0 || model === null) continue;
      served.delete(weights);
      await unload(model.id);
      await client.deleteCheckpoint(model.path, AbortSignal.timeout(UNLOAD_MS)).catch(() => {});
      return true;
    }
    return false;
  }

  async function createModel(baseModel: string, lora: LoraConfig | null, signal: AbortSignal): Promise<string> {
    const open = session.open();
    const modelSeqId = open.nextModelSeqId++;
    try {
      const model = { sessionId: await open.id, modelSeqId, baseModel, lora };
      return (await (await client.createModel(model, signal)).result()).model_id;
    } catch (error) {
      if (error instanceof TinkerError && error.kind === 'paused' && (await giveUpOne()))
        return createModel(baseModel, lora, signal);
      if (error instanceof TinkerError && error.kind === 'lost') session.forget(open);
      throw error;
    }
  }

  async function make(weights: string, entry: Served, signal: AbortSignal): Promise<string> {
    const { run, name } = parts(weights);
    const state = `tinker://${run}/weights/${name}`;
    const weightsInfo = await client.weightsInfo(state, signal);
    if (served.size > SERVING) await giveUpOne();
    const modelId = await createModel(weightsInfo.base_model, adapterOf(weightsInfo), signal);
    try {
      const model = trainingModel(client, { modelId });
      await model.loadWeights(state, { optimizer: false }, signal);
      const path = await model.saveWeightsForSampler(name, {}, signal);
      entry.model = { id: modelId, path };
      return path;
    } catch (error) {
      await unload(modelId);
      throw error;
    }
  }

  function find(weights: string): Served {
    // A caller that gives up must not take the model away from the others; each request has a deadline of its own.
    const entry = served.get(weights) ?? { path: Promise.resolve(''), model: null, users: 0 };
    if (!served.has(weights)) {
      entry.path = make(weights, entry, new AbortController().signal);
      entry.path.catch(() => forget(weights, entry));
    }
    served.delete(weights);
    served.set(weights, entry);
    return entry;
  }

  function forget(weights: string, entry: Served): void {
    if (served.get(weights) === entry) served.delete(weights);
  }

  return {
    /**
     * Samples from weights: `ask` is given what to sample from. If that is lost, it is made anew once.
     *
     * @param weights `tinker://RUN/sampler_weights/NAME`
     * @throws TinkerError `lost` where the weights themselves are gone
     */
    async through<T>(weights: string, ask: (path: string) => Promise<T>, signal: AbortSignal): Promise<T> {
      for (let again = false; ; again = true) {
        const entry = find(weights);
        entry.users += 1;
        try {
          return await ask(await unlessAborted(entry.path, signal));
        } catch (error) {
          if (!(error instanceof TinkerError) || error.kind !== 'lost') throw error;
          forget(weights, entry);
          if (again) throw error;
        } finally {
          entry.users -= 1;
        }
      }
    },
  };
}

/** What a model needs to take the weights; null where they are a whole model's. */
function adapterOf(info: WeightsInfo): LoraConfig | null {
  if (!info.is_lora || info.lora_rank == null) return null;
  const layers = (['train_unembed', 'train_mlp', 'train_attn'] as const).filter((name) => info[name] != null);
  return { rank: info.lora_rank, ...Object.fromEntries(layers.map((name) => [name, info[name]])) };
}

function parts(weights: string) {
  const found = parseTinkerPath(weights);
  if (found !== null) return found;
  throw new TinkerError('fatal', `${weights} is not tinker://RUN/sampler_weights/NAME`, {
    service: 'the Tinker client',
  });
}
