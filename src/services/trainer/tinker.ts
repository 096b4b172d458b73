import { type Connection, type EnvOr, resolveConnection, startHint } from '../address.ts';
import { ServiceError } from '../errors.ts';
import { type TinkerClient, tinkerClient } from '../tinker/client.ts';
import { encodedText, type TensorData, type TinkerDatum } from '../tinker/protocol.ts';
import { trainStep } from '../tinker/train-step.ts';
import type { TinkerOptions } from '../tinker/transport.ts';
import { sumLoss } from './loss.ts';
import type { AdamParams, Datum, LiveModel, Trainer } from './trainer.ts';

export interface TinkerTrainerConfig {
  baseUrl: EnvOr;
  apiKey?: EnvOr | undefined;
  timeoutMs: number;
  /** Null trains all parameters. */
  loraRank: number | null;
}

const service = 'the trainer (policy.trainer)';
const HEARTBEAT_MS = 10_000;

interface Session {
  id: string;
  nextModelSeqId: number;
}

/** A session of this process, at one address. */
interface Link {
  connection: Connection;
  client: TinkerClient;
  session: Promise<Session> | null;
}

/**
 * A trainer behind the Tinker API. Models live on the server under this process's session, which is opened when the
 * first model is made and kept alive by heartbeats; models of other processes are reached by their id alone.
 */
export function tinkerTrainer(
  config: TinkerTrainerConfig,
  env: NodeJS.ProcessEnv,
  overrides: Partial<TinkerOptions> = {},
): Trainer {
  let link: Link | null = null;

  /** The address may have moved since the last call: then everything starts anew there. */
  function connect(): Link {
    const connection = resolveConnection(config, env, 'policy.trainer');
    const same = link?.connection.baseUrl === connection.baseUrl && link.connection.apiKey === connection.apiKey;
    if (link === null || !same) {
      const options = { ...connection, service, hint: startHint, timeoutMs: config.timeoutMs, ...overrides };
      link = { connection, client: tinkerClient(options), session: null };
    }
    return link;
  }

  /** Shared by all callers, so no single caller's cancellation may end it. */
  async function openSession(at: Link): Promise<Session> {
    if (at.session !== null) return at.session;
    const opening = at.client.createSession(new AbortController().signal).then((id) => ({ id, nextModelSeqId: 0 }));
    at.session = opening;
    try {
      const session = await opening;
      keepAlive(at, opening, session);
      return session;
    } catch (error) {
      if (at.session === opening) at.session = null;
      throw error;
    }
  }

  /** Beats until the session is replaced or the server has forgotten it; never keeps the process alive. */
  function keepAlive(at: Link, opened: Promise<Session>, session: Session): void {
    const timer = setInterval(async () => {
      if (link !== at || at.session !== opened) return clearInterval(timer);
      try {
        await at.client.heartbeat(session.id, AbortSignal.timeout(HEARTBEAT_MS));
      } catch (error) {
        const gone = error instanceof ServiceError && (error.kind === 'lost' || error.kind === 'fatal');
        if (gone && at.session === opened) at.session = null;
      }
    }, HEARTBEAT_MS);
    timer.unref();
  }

  async function unload(client: TinkerClient, modelId: string): Promise<void> {
    await client.unloadModel(modelId, AbortSignal.timeout(HEARTBEAT_MS)).catch(() => {});
  }

  return {
    async restore(checkpoint, { optimizer }, signal) {
      const at = connect();
      const { client } = at;
      const session = await openSession(at);
      const modelSeqId = session.nextModelSeqId++;
      let modelId: string;
      try {
        const lora = config.loraRank === null ? null : { rank: config.loraRank };
        const model = { sessionId: session.id, modelSeqId, baseModel: checkpoint.base, lora };
        modelId = (await (await client.createModel(model, signal)).result()).model_id;
      } catch (error) {
        // The session may be what the server has forgotten; the next attempt opens another.
        if (error instanceof ServiceError && error.kind !== 'retryable') at.session = null;
        throw error;
      }
      if (checkpoint.trainerState === null) return { modelId, nextSeqId: 1, checkpointId: checkpoint.id };
      try {
        const load = await client.loadWeights(modelId, 1, checkpoint.trainerState, optimizer, signal);
        await load.result();
      } catch (error) {
        await unload(client, modelId);
        throw isAboutCheckpoint(error) ? expired(error) : error;
      }
      return { modelId, nextSeqId: 2, checkpointId: checkpoint.id };
    },

    async step(live, data, loss, adam, signal) {
      const input = {
        data: data.map((datum) => toWire(datum, loss.name)),
        loss_fn: loss.name,
        ...(loss.config === undefined ? {} : { loss_fn_config: loss.config }),
      };
      const step = { modelId: live.modelId, seqId: live.nextSeqId, input, adam: toWireAdam(adam) };
      const { output, metrics, nextSeqId } = await trainStep(connect().client, step, signal);
      const logprobs = data.map((datum, row) => aligned(datum, output.loss_fn_outputs[row]?.logprobs.data));
      return {
        live: { ...live, nextSeqId },
        result: {
          loss: output.metrics['loss:sum'] ?? sumLoss(loss, data, logprobs),
          logprobs,
          metrics: { ...output.metrics, ...metrics },
        },
      };
    },

    async forward(live, data, signal) {
      const input = { data: data.map((datum) => toWire(datum, 'cross_entropy')), loss_fn: 'cross_entropy' };
      let after = live;
      try {
        const pending = await connect().client.forward(live.modelId, live.nextSeqId, input, signal);
        after = advance(live);
        const output = await pending.result();
        const logprobs = data.map((datum, row) => aligned(datum, output.loss_fn_outputs[row]?.logprobs.data));
        return { live: after, logprobs };
      } catch (error) {
        // A refused request took no place in the model's order; one that failed later did.
        if (error instanceof ServiceError && error.kind === 'fatal') return { live: after, logprobs: null };
        throw error;
      }
    },

    async save(live, name, { ttlSeconds }, signal) {
      const save = await connect().client.saveWeights(live.modelId, live.nextSeqId, flat(name), ttlSeconds, signal);
      return { live: advance(live), trainerState: (await save.result()).path };
    },

    async saveForSampler(live, name, signal) {
      const save = await connect().client.saveWeightsForSampler(live.modelId, live.nextSeqId, flat(name), signal);
      return { live: advance(live), samplerModel: (await save.result()).path };
    },

    async fetchWeights(samplerModel) {
      throw new ServiceError('fatal', `cannot fetch ${samplerModel}`, { service });
    },

    /** Also after a cancellation: what nobody will use should not hold memory. */
    async release(live) {
      try {
        await unload(connect().client, live.modelId);
      } catch {
        // No address any more: nothing to release there.
      }
    },
  };
}

/** Servers say 404 for a checkpoint they no longer have, as for a model; only the words differ. */
function isAboutCheckpoint(error: unknown): error is ServiceError {
  if (!(error instanceof ServiceError) || error.kind !== 'lost' || error.status === 410) return false;
  return /checkpoint/i.test(error.message) && !/not loaded/i.test(error.message);
}

const expired = (cause: ServiceError) => new ServiceError('expired', cause.message, { service, cause });

const advance = (live: LiveModel): LiveModel => ({ ...live, nextSeqId: live.nextSeqId + 1 });

/** Names of weights are one segment of a `tinker://` path. */
const flat = (name: string): string => name.replace(/[^A-Za-z0-9._-]+/g, '-');

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
