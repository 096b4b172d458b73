import type { Capabilities } from './capabilities.ts';
import { type Codec, decoders, json as jsonCodec, type Pass, proto } from './codec.ts';
import { TinkerError } from './errors.ts';
import { jsonBody } from './http.ts';
import {
  type ForwardBackwardInput,
  type ForwardBackwardOutput,
  type LoraConfig,
  type ModelInfo,
  type OptimStepOutput,
  type TinkerAdamParams,
  withKind,
} from './protocol.ts';
import type { Pending, Submission, Transport } from './transport.ts';

export interface NewModel {
  sessionId: string;
  /** Of the session: 0, 1, 2, … */
  modelSeqId: number;
  baseModel: string;
  /** Null trains all parameters, where the server can. */
  lora: LoraConfig | null;
  userMetadata?: Record<string, string>;
}

export interface NewModelFromWeights {
  sessionId: string;
  modelSeqId: number;
  /** `tinker://…/weights/…`; base and rank are the checkpoint's. */
  path: string;
  optimizer: boolean;
  baseModel?: string;
}

/** Models and training. Each call is answered with a promise of its result. */
export function trainingCalls(
  { submit, json }: Transport,
  can: Capabilities,
  /** Waits until saved weights are there. */
  awaitCheckpoint: (path: string, signal: AbortSignal) => Promise<void>,
) {
  let codec: Codec = can.wire === 'proto' ? proto : jsonCodec;
  const isNumbered = can.seqDedupe === 'dedupe';

  function send<T>(
    type: string,
    fields: object,
    signal: AbortSignal,
    more: Partial<Submission<T>> = {},
  ): Promise<Pending<T>> {
    const body = jsonBody({ ...fields, type });
    return submit<T>({ path: `/${type}`, body, type, repeatable: false, ...more }, signal);
  }

  async function pass(what: Pass, signal: AbortSignal): Promise<Pending<ForwardBackwardOutput>> {
    const at = codec;
    const submission = {
      ...at.pass(what),
      type: what.forwardOnly ? 'forward' : 'forward_backward',
      repeatable: isNumbered,
      decode: decoders.pass,
      wantsProtobuf: at.wantsProtobuf,
    };
    try {
      return await submit(submission, signal);
    } catch (error) {
      // Refused as it is written, and nothing was executed: this server takes protobuf only.
      if (!(error instanceof TinkerError) || error.status !== 415 || at === proto) throw error;
      codec = proto;
      return pass(what, signal);
    }
  }

  async function save(
    type: 'save_weights' | 'save_weights_for_sampler',
    fields: { model_id: string; seq_id: number; path: string; ttl_seconds?: number },
    signal: AbortSignal,
  ): Promise<Pending<{ path: string }>> {
    const kind = type === 'save_weights' ? 'weights' : 'sampler_weights';
    const path = `tinker://${fields.model_id}/${kind}/${fields.path}`;
    const afterConflict = (caller: AbortSignal) => awaitCheckpoint(path, caller).then(() => ({ path }));
    const { requestId, result } = await send<{ path: string }>(type, fields, signal, {
      repeatable: isNumbered || can.saveConflictMeansDone,
      ...(can.saveConflictMeansDone ? { afterConflict } : {}),
    });
    return { requestId, result: async () => ({ path: withKind((await result()).path, kind) }) };
  }

  return {
    createModel: (model: NewModel, signal: AbortSignal) =>
      send<{ model_id: string }>(
        'create_model',
        {
          session_id: model.sessionId,
          model_seq_id: model.modelSeqId,
          base_model: model.baseModel,
          ...(model.userMetadata === undefined ? {} : { user_metadata: model.userMetadata }),
          ...(model.lora === null ? {} : { lora_config: model.lora }),
        },
        signal,
      ),
    /** A model made at saved weights, in one request (capability `createByLoad`). Its next `seq_id` is 1. */
    createModelFromWeights: (model: NewModelFromWeights, signal: AbortSignal) =>
      send<{ model_id: string; path?: string | null }>(
        'load_weights',
        {
          session_id: model.sessionId,
          model_seq_id: model.modelSeqId,
          ...(model.baseModel === undefined ? {} : { base_model: model.baseModel }),
          path: model.path,
          optimizer: model.optimizer,
        },
        signal,
      ),
    modelInfo: (modelId: string, signal: AbortSignal) =>
      json<ModelInfo>('POST', '/get_info', { model_id: modelId, type: 'get_info' }, signal),
    unloadModel: (modelId: string, signal: AbortSignal) => send<object>('unload_model', { model_id: modelId }, signal),

    /** Only allowed as a model's first request. */
    loadWeights: (modelId: string, seqId: number, path: string, optimizer: boolean, signal: AbortSignal) =>
      send<object>('load_weights', { model_id: modelId, seq_id: seqId, path, optimizer }, signal),
    forwardBackward: (modelId: string, seqId: number, input: ForwardBackwardInput, signal: AbortSignal) =>
      pass({ modelId, seqId, input, forwardOnly: false }, signal),
    /** The same without a gradient; not every server has it. */
    forward: (modelId: string, seqId: number, input: ForwardBackwardInput, signal: AbortSignal) =>
      pass({ modelId, seqId, input, forwardOnly: true }, signal),
    optimStep: (modelId: string, seqId: number, adam: TinkerAdamParams, signal: AbortSignal) =>
      send<OptimStepOutput>('optim_step', { model_id: modelId, seq_id: seqId, adam_params: adam }, signal, {
        repeatable: isNumbered,
      }),

    /** Weights and optimiser state under a name; a name that exists is refused. */
    saveWeights: (modelId: string, seqId: number, name: string, ttlSeconds: number | undefined, signal: AbortSignal) =>
      save('save_weights', { model_id: modelId, seq_id: seqId, path: name, ...ttl(ttlSeconds) }, signal),
    saveWeightsForSampler: (
      modelId: string,
      seqId: number,
      name: string,
      signal: AbortSignal,
      ttlSeconds?: number | undefined,
    ) => save('save_weights_for_sampler', { model_id: modelId, seq_id: seqId, path: name, ...ttl(ttlSeconds) }, signal),
    /** Weights that can be sampled through the session in the answer, and are kept nowhere (`ephemeralSampler`). */
    publishForSampling: (modelId: string, seqId: number, samplingSessionSeqId: number, signal: AbortSignal) =>
      send<{ sampling_session_id: string; path?: string | null }>(
        'save_weights_for_sampler',
        { model_id: modelId, seq_id: seqId, sampling_session_seq_id: samplingSessionSeqId },
        signal,
      ),

    /** Bytes that a datum takes in a request, as requests are written now. */
    datumBytes: (datum: ForwardBackwardInput['data'][number]) => codec.datumBytes(datum),
  };
}

const ttl = (seconds: number | undefined) => (seconds === undefined ? {} : { ttl_seconds: seconds });
