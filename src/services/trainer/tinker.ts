import { ServiceError } from '../errors.ts';
import {
  encodedText,
  isUnknownPath,
  type LivingSession,
  type LoraConfig,
  livingSession,
  type TensorData,
  type TinkerClient,
  type TinkerDatum,
  TinkerError,
  type TinkerOptions,
  trainingModel,
} from '../tinker/index.ts';
import { type Link, type TinkerSection, tinkerLink, withServiceErrors } from '../tinker-link.ts';
import { sumLoss } from './loss.ts';
import type { AdamParams, Datum, LiveModel, Trainer } from './trainer.ts';

export interface TinkerTrainerConfig extends TinkerSection {
  /** Null trains all parameters. */
  loraRank: number | null;
  /** Whether the output layer has an adapter; left out, the service decides. */
  loraUnembed?: boolean | undefined;
}

const service = 'the trainer (policy.trainer)';
const UNLOAD_MS = 10_000;
/** A repeated first attempt starts from the adapter that the lost one started from. */
const ADAPTER_SEED = 1;

/**
 * A trainer behind the Tinker API. Models live on the server under this process's session, which is opened when the
 * first model is made and kept alive by heartbeats where the server wants them; models of other processes are reached
 * by their id alone.
 */
export function tinkerTrainer(
  config: TinkerTrainerConfig,
  env: NodeJS.ProcessEnv,
  overrides: Partial<TinkerOptions> = {},
): Trainer {
  const connect = tinkerLink(config, env, { path: 'policy.trainer', service }, overrides);
  let current: { link: Link; session: LivingSession } | null = null;

  function sessionAt(link: Link): LivingSession {
    if (current?.link === link) return current.session;
    current?.session.stop();
    const session = livingSession(link.client);
    current = { link, session };
    return session;
  }

  async function modelOf(live: LiveModel, signal: AbortSignal) {
    const { client } = await connect(signal);
    return trainingModel(client, { modelId: live.modelId, nextSeqId: live.nextSeqId });
  }

  async function unload(client: TinkerClient, modelId: string): Promise<void> {
    await client.unloadModel(modelId, AbortSignal.timeout(UNLOAD_MS)).catch(() => {});
  }

  async function restore(
    checkpoint: Parameters<Trainer['restore']>[0],
    optimizer: boolean,
    signal: AbortSignal,
  ): Promise<LiveModel> {
    const link = await connect(signal);
    const { client } = link;
    const living = sessionAt(link);
    const session = living.open();
    const modelSeqId = session.nextModelSeqId++;
    const sessionId = await session.id;
    let modelId: string;
    try {
      const lora = adapterOf(config);
      const model = { sessionId, modelSeqId, baseModel: checkpoint.base, lora };
      modelId = (await (await client.createModel(model, signal)).result()).model_id;
    } catch (error) {
      // The session may be what the server has forgotten; the next attempt opens another.
      if (!(error instanceof TinkerError) || error.kind !== 'retryable') living.forget(session);
      throw error;
    }
    const model = trainingModel(client, { modelId });
    try {
      if (checkpoint.trainerState !== null) await model.loadWeights(checkpoint.trainerState, { optimizer }, signal);
    } catch (error) {
      await unload(client, modelId);
      throw isAboutCheckpoint(error) ? expired(error) : error;
    }
    return { modelId, nextSeqId: model.nextSeqId, checkpointId: checkpoint.id };
  }

  return {
    restore: (checkpoint, { optimizer }, signal) => withServiceErrors(() => restore(checkpoint, optimizer, signal)),

    step: (live, data, loss, adam, signal) =>
      withServiceErrors(async () => {
        const wire = data.map((datum) => toWire(datum, loss.name));
        const { can } = (await connect(signal)).client;
        const input = {
          data: can.lossReduction === 'row-mean' ? wire.map((datum) => summed(datum, wire.length)) : wire,
          loss_fn: loss.name,
          ...(loss.config === undefined ? {} : { loss_fn_config: loss.config }),
        };
        const model = await modelOf(live, signal);
        const { output, metrics } = await model.step(input, toWireAdam(adam), signal);
        const logprobs = data.map((datum, row) => aligned(datum, output.loss_fn_outputs[row]?.logprobs?.data));
        return {
          live: { ...live, nextSeqId: model.nextSeqId },
          result: {
            loss: output.metrics['loss:sum'] ?? sumLoss(loss, data, logprobs),
            logprobs,
            metrics: { ...output.metrics, ...metrics },
          },
        };
      }),

    forward: (live, data, signal) =>
      withServiceErrors(async () => {
        const input = { data: data.map((datum) => toWire(datum, 'cross_entropy')), loss_fn: 'cross_entropy' };
        const { client } = await connect(signal);
        if (!client.can.forward) return { live, logprobs: null };
        const model = await modelOf(live, signal);
        const after = () => ({ ...live, nextSeqId: model.nextSeqId });
        try {
          const output = await model.forward(input, signal);
          const logprobs = data.map((datum, row) => aligned(datum, output.loss_fn_outputs[row]?.logprobs?.data));
          return { live: after(), logprobs };
        } catch (error) {
          // A refused request took no place in the model's order; one that failed later did.
          if (error instanceof TinkerError && error.kind === 'fatal') return { live: after(), logprobs: null };
          throw error;
        }
      }),

    save: (live, name, options, signal) =>
      withServiceErrors(async () => {
        const model = await modelOf(live, signal);
        const trainerState = await model.saveWeights(flat(name), options, signal);
        return { live: { ...live, nextSeqId: model.nextSeqId }, trainerState };
      }),

    saveForSampler: (live, name, signal) =>
      withServiceErrors(async () => {
        const model = await modelOf(live, signal);
        const { can } = (await connect(signal)).client;
        // What serves them then is made from the state under the same name (`servingModels`).
        if (can.samplerWeights === 'live') await model.saveWeights(flat(name), {}, signal);
        const samplerModel = await model.saveWeightsForSampler(flat(name), {}, signal);
        return { live: { ...live, nextSeqId: model.nextSeqId }, samplerModel };
      }),

    fetchWeights: (samplerModel, folder, signal) =>
      withServiceErrors(async () => {
        const { client } = await connect(signal);
        if (client.can.archive === 'none') throw noArchive(samplerModel);
        try {
          return await client.downloadCheckpoint(samplerModel, folder, signal);
        } catch (error) {
          throw isUnknownPath(error) ? noArchive(samplerModel) : isAboutCheckpoint(error) ? expired(error) : error;
        }
      }),

    /** Also after a cancellation: what nobody will use should not hold memory. */
    async release(live) {
      try {
        const { client } = await connect(AbortSignal.timeout(UNLOAD_MS));
        await unload(client, live.modelId);
      } catch {
        // No address any more: nothing to release there.
      }
    },
  };
}

function adapterOf({ loraRank: rank, loraUnembed }: TinkerTrainerConfig): LoraConfig | null {
  if (rank === null) return null;
  return { rank, seed: ADAPTER_SEED, ...(loraUnembed === undefined ? {} : { train_unembed: loraUnembed }) };
}

function noArchive(weights: string): ServiceError {
  const message =
    `${service} gives no archive of ${weights}: choose a sampler that shares the trainer's storage, or a trainer ` +
    'whose checkpoints can be downloaded';
  return new ServiceError('fatal', message, { service });
}

/** Servers say 404 for a checkpoint they no longer have, as for a model; only the words differ. */
function isAboutCheckpoint(error: unknown): error is TinkerError {
  if (!(error instanceof TinkerError) || error.kind !== 'lost' || error.status === 410) return false;
  return /checkpoint/i.test(error.message) && !/not loaded/i.test(error.message);
}

const expired = (cause: TinkerError) => new ServiceError('expired', cause.message, { service, cause });

/** Names of weights are one segment of a `tinker://` path. */
const flat = (name: string): string => name.replace(/[^A-Za-z0-9._-]+/g, '-');

/**
 * A datum whose loss, averaged over its targets and over all rows, is the sum over its tokens. A policy's loss is linear
 * in the advantages, so that is exact; cross-entropy's weights would cancel out, and there each row counts the same.
 */
function summed(datum: TinkerDatum, rows: number): TinkerDatum {
  const { advantages } = datum.loss_fn_inputs;
  if (advantages === undefined) return datum;
  const scaled = { ...advantages, data: advantages.data.map((advantage) => advantage * advantages.data.length * rows) };
  return { ...datum, loss_fn_inputs: { ...datum.loss_fn_inputs, advantages: scaled } };
}

/** full[:-1] predicts full[1:]; everything that describes targets loses its first entry. */
function toWire(datum: Datum, loss: string): TinkerDatum {
  const targets = (values: number[] | undefined, name: string): TensorData => {
    if (values?.length === datum.tokens.length && values.length > 1) {
      return {
        data: values.slice(1),
        dtype: name === 'target_tokens' ? 'int64' : 'float32',
        shape: [values.length - 1],
      };
    }
    const found = values === undefined ? 'none' : `${values.length}`;
    const message = `${loss} needs ${name} for each of a row's ${datum.tokens.length} (2 or more) tokens, got ${found}`;
    throw new ServiceError('fatal', message, { service });
  };
  const names = loss === 'cross_entropy' ? (['weights'] as const) : (['logprobs', 'advantages'] as const);
  return {
    model_input: encodedText(datum.tokens.slice(0, -1)),
    loss_fn_inputs: {
      target_tokens: targets(datum.tokens, 'target_tokens'),
      ...Object.fromEntries(names.map((name) => [name, targets(datum[name], name)])),
    },
  };
}

function aligned(datum: Datum, logprobs: number[] | undefined): number[] {
  if (logprobs?.length === datum.tokens.length - 1) return [0, ...logprobs];
  const message = `expected ${datum.tokens.length - 1} log-probabilities for a row, got ${logprobs?.length ?? 'none'}`;
  throw new ServiceError('fatal', `${service}: ${message}`, { service });
}

function toWireAdam(adam: AdamParams) {
  return {
    learning_rate: adam.learningRate,
    beta1: adam.beta1,
    beta2: adam.beta2,
    eps: adam.eps,
    weight_decay: adam.weightDecay,
    grad_clip_norm: adam.gradClipNorm,
  };
}
