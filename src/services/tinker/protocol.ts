/** The JSON of the Tinker API that training and sampling need. Field names are the wire's. */

export interface ModelInput {
  chunks: { type: 'encoded_text'; tokens: number[] }[];
}

export interface TensorData {
  /** Flattened. */
  data: number[];
  dtype: 'int64' | 'float32';
  shape?: number[];
}

/** Inputs are aligned with `model_input` after the one-token shift: full[:-1] predicts full[1:]. */
export interface TinkerDatum {
  model_input: ModelInput;
  loss_fn_inputs: Record<string, TensorData>;
}

export interface ForwardBackwardInput {
  data: TinkerDatum[];
  loss_fn: string;
  loss_fn_config?: Record<string, number>;
}

export interface ForwardBackwardOutput {
  loss_fn_output_type?: string;
  /** One per datum. */
  loss_fn_outputs: { logprobs: TensorData; elementwise_loss?: TensorData }[];
  /** Named `metric:reduction`. */
  metrics: Record<string, number>;
}

export interface TinkerAdamParams {
  learning_rate: number;
  beta1: number;
  beta2: number;
  eps: number;
  weight_decay: number;
  grad_clip_norm: number;
}

export interface LoraConfig {
  rank: number;
  seed?: number;
}

export interface SamplingParams {
  max_tokens?: number;
  seed?: number;
  /** Strings, or token ids; never both. */
  stop?: string[] | number[];
  temperature?: number;
  top_k?: number;
  top_p?: number;
}

export interface SampleInput {
  prompt: ModelInput;
  num_samples: number;
  sampling_params: SamplingParams;
  /** Exactly one of the two. */
  base_model?: string;
  model_path?: string;
}

export interface SampleOutput {
  sequences: { tokens: number[]; logprobs?: number[] | null; stop_reason: string }[];
}

export interface ServerCapabilities {
  supported_models: { model_name?: string; max_context_length?: number }[];
}

/** Why a future is not done yet, as the server words it: active, paused_capacity, paused_rate_limit. */
export type QueueState = string;

export const encodedText = (tokens: number[]): ModelInput => ({ chunks: [{ type: 'encoded_text', tokens }] });
