import type {
  ForwardBackwardInput,
  ForwardBackwardOutput,
  LoraConfig,
  SampleInput,
  SampleOutput,
  ServerCapabilities,
  TinkerAdamParams,
} from './protocol.ts';
import { type TinkerOptions, tinkerTransport } from './transport.ts';

export type TinkerClient = ReturnType<typeof tinkerClient>;

const SDK_VERSION = 'astroflow-0.1';

/**
 * A client of the Tinker API (training and sampling over HTTP and JSON). Training requests of one model carry a dense
 * `seq_id` from 1; the caller counts. Errors are `ServiceError`s: a submit that broke is `ambiguous`, and the caller
 * starts over from a checkpoint.
 */
export function tinkerClient(options: TinkerOptions) {
  const { get, post, submit } = tinkerTransport(options);

  return {
    /** Liveness only: a server may say ok before its model is loaded. */
    health: (signal: AbortSignal) => get<{ status: string }>('/healthz', signal),
    capabilities: (signal: AbortSignal) => get<ServerCapabilities>('/get_server_capabilities', signal),

    createSession: async (signal: AbortSignal): Promise<string> => {
      const body = { tags: ['astroflow'], user_metadata: null, sdk_version: SDK_VERSION, type: 'create_session' };
      return (await post<{ session_id: string }>('/create_session', body, signal)).session_id;
    },
    heartbeat: (sessionId: string, signal: AbortSignal) =>
      post<object>('/session_heartbeat', { session_id: sessionId, type: 'session_heartbeat' }, signal),

    /** `lora` null trains all parameters, where the server can. */
    createModel: (
      model: { sessionId: string; modelSeqId: number; baseModel: string; lora: LoraConfig | null },
      signal: AbortSignal,
    ) =>
      submit<{ model_id: string }>(
        '/create_model',
        {
          session_id: model.sessionId,
          model_seq_id: model.modelSeqId,
          base_model: model.baseModel,
          ...(model.lora === null ? {} : { lora_config: model.lora }),
          type: 'create_model',
        },
        signal,
      ),
    unloadModel: (modelId: string, signal: AbortSignal) =>
      submit<object>('/unload_model', { model_id: modelId, type: 'unload_model' }, signal),

    /** Only allowed as a model's first request. */
    loadWeights: (modelId: string, seqId: number, path: string, optimizer: boolean, signal: AbortSignal) =>
      submit<object>(
        '/load_weights',
        { model_id: modelId, seq_id: seqId, path, optimizer, type: 'load_weights' },
        signal,
      ),
    forwardBackward: (modelId: string, seqId: number, input: ForwardBackwardInput, signal: AbortSignal) =>
      submit<ForwardBackwardOutput>(
        '/forward_backward',
        { model_id: modelId, seq_id: seqId, forward_backward_input: input, type: 'forward_backward' },
        signal,
      ),
    /** The same without a gradient; not every server has it. */
    forward: (modelId: string, seqId: number, input: ForwardBackwardInput, signal: AbortSignal) =>
      submit<ForwardBackwardOutput>(
        '/forward',
        { model_id: modelId, seq_id: seqId, forward_input: input, type: 'forward' },
        signal,
      ),
    optimStep: (modelId: string, seqId: number, adam: TinkerAdamParams, signal: AbortSignal) =>
      submit<{ metrics?: Record<string, number> | null }>(
        '/optim_step',
        { model_id: modelId, seq_id: seqId, adam_params: adam, type: 'optim_step' },
        signal,
      ),
    /** Weights and optimiser state under a name; a name that exists is refused. */
    saveWeights: (modelId: string, seqId: number, name: string, ttlSeconds: number | undefined, signal: AbortSignal) =>
      submit<{ path: string }>(
        '/save_weights',
        { model_id: modelId, seq_id: seqId, path: name, ...ttl(ttlSeconds), type: 'save_weights' },
        signal,
      ),
    saveWeightsForSampler: (modelId: string, seqId: number, name: string, signal: AbortSignal) =>
      submit<{ path: string }>(
        '/save_weights_for_sampler',
        { model_id: modelId, seq_id: seqId, path: name, type: 'save_weights_for_sampler' },
        signal,
      ),

    sample: (input: SampleInput, signal: AbortSignal) =>
      submit<SampleOutput>('/asample', { ...input, type: 'sample' }, signal),
  };
}

const ttl = (seconds: number | undefined) => (seconds === undefined ? {} : { ttl_seconds: seconds });
