/** The messages of the Tinker API. Field names are the wire's, in JSON and in protobuf. */

export interface EncodedText {
  type: 'encoded_text';
  tokens: number[];
}

export interface Image {
  type: 'image';
  /** Base64. */
  data: string;
  format: string;
  expected_tokens?: number;
}

export interface ModelInput {
  chunks: (EncodedText | Image)[];
}

export interface TensorData {
  /** Flattened; of a sparse tensor the values that are there. */
  data: number[];
  dtype: 'int64' | 'float32';
  shape?: number[];
  /** Both, for a two-dimensional tensor in CSR form. */
  sparse_crow_indices?: number[];
  sparse_col_indices?: number[];
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
  loss_fn_outputs: LossOutput[];
  /** Named `metric:reduction`. */
  metrics: Record<string, number>;
}

export interface LossOutput {
  logprobs: TensorData;
  elementwise_loss?: TensorData;
}

export interface TinkerAdamParams {
  learning_rate: number;
  beta1: number;
  beta2: number;
  eps: number;
  weight_decay: number;
  grad_clip_norm: number;
}

export interface OptimStepOutput {
  metrics?: Record<string, number> | null;
}

export interface LoraConfig {
  rank: number;
  seed?: number;
  train_unembed?: boolean;
  train_mlp?: boolean;
  train_attn?: boolean;
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
  /** Exactly one of the three: a base model, `tinker://…/sampler_weights/…`, or a session with a number of its own. */
  base_model?: string;
  model_path?: string;
  sampling_session_id?: string;
  seq_id?: number;
  prompt_logprobs?: boolean;
  topk_prompt_logprobs?: number;
}

export interface SampledSequence {
  tokens: number[];
  logprobs?: number[] | null;
  stop_reason: string;
}

export interface SampleOutput {
  sequences: SampledSequence[];
  /** One per prompt token; the first has none. */
  prompt_logprobs?: (number | null)[] | null;
  /** Of each prompt token the likeliest ids with their log-probabilities. */
  topk_prompt_logprobs?: ([id: number, logprob: number][] | null)[] | null;
  prompt_cache_hit_tokens?: number | null;
}

export interface SupportedModel {
  model_name?: string;
  /** Tokens. */
  max_context_length?: number;
  trainable?: boolean;
  sampleable?: boolean;
}

/** Servers may say more than the models; what is known of that is read in `capabilities.ts`. */
export interface ServerCapabilities {
  supported_models: SupportedModel[];
  [more: string]: unknown;
}

export interface ClientConfig {
  pjwt_auth_enabled?: boolean;
  fwdbwd_max_chunk_len?: number;
  fwdbwd_max_chunk_bytes_count?: number;
  sample_max_concurrent_requests?: number;
  billing_exception_max_pause_duration_sec?: number;
  create_model_via_load_weights?: boolean;
  [more: string]: unknown;
}

export interface SessionOpened {
  session_id: string;
  info_message?: string | null;
  warning_message?: string | null;
  error_message?: string | null;
}

export interface SessionContents {
  training_run_ids: string[];
  sampler_ids: string[];
}

export interface ModelInfo {
  model_id: string;
  model_data: { arch?: string; model_name?: string; tokenizer_id?: string };
  is_lora?: boolean | null;
  lora_rank?: number | null;
  model_name?: string | null;
}

export interface SamplerInfo {
  sampler_id: string;
  base_model: string;
  model_path?: string | null;
}

export interface WeightsInfo {
  base_model: string;
  is_lora: boolean;
  lora_rank?: number | null;
  train_unembed?: boolean | null;
  train_mlp?: boolean | null;
  train_attn?: boolean | null;
}

export interface CheckpointInfo {
  /** `weights/<name>` or `sampler_weights/<name>`; on some servers the bare name. */
  checkpoint_id: string;
  checkpoint_type: string;
  time: string;
  tinker_path: string;
  size_bytes?: number | null;
  public?: boolean;
  expires_at?: string | null;
}

export interface TrainingRun {
  training_run_id: string;
  base_model: string;
  model_owner?: string;
  is_lora: boolean;
  lora_rank?: number | null;
  corrupted?: boolean;
  last_request_time?: string;
  last_checkpoint?: CheckpointInfo | null;
  last_sampler_checkpoint?: CheckpointInfo | null;
  user_metadata?: Record<string, string> | null;
}

export interface Cursor {
  offset: number;
  limit: number;
  total_count: number;
}

export interface Page {
  limit?: number;
  offset?: number;
}

/** Why a future is not done yet, as the server words it: active, paused_capacity, paused_rate_limit. */
export type QueueState = string;

export const encodedText = (tokens: number[]): ModelInput => ({ chunks: [{ type: 'encoded_text', tokens }] });

/** A `tinker://<run>/<kind>/<name>` path in parts, or null. */
export function parseTinkerPath(path: string): { run: string; kind: string; name: string } | null {
  const match = /^tinker:\/\/([^/]+)\/(weights|sampler_weights)\/([^/]+)$/.exec(path);
  if (match === null) return null;
  const [, run = '', kind = '', name = ''] = match;
  return { run, kind, name };
}

/** Some servers leave the kind out of a path that they give: `tinker://<run>/<name>`. */
export function withKind(path: string, kind: 'weights' | 'sampler_weights'): string {
  return path.replace(/^tinker:\/\/([^/]+)\/([^/]+)$/, `tinker://$1/${kind}/$2`);
}
