import type { Checkpoint } from '../../core/checkpoint.ts';

export type LossName = 'cross_entropy' | 'importance_sampling' | 'ppo';

/**
 * One training sequence. `tokens` are prompt and completion, unshifted; the arrays beside it have the same length and
 * say something about each token as a *target* (position 0 is never one). The trainer shifts.
 */
export interface Datum {
  tokens: number[];
  /** cross_entropy: loss weight of each target, already normalised by the caller (services sum over tokens). */
  weights?: number[];
  /** importance_sampling, ppo: the sampler's log-probabilities (0 on the prompt). */
  logprobs?: number[];
  /** importance_sampling, ppo: advantage of each target, already normalised (0 on the prompt). */
  advantages?: number[];
}

export interface AdamParams {
  learningRate: number;
  beta1: number;
  beta2: number;
  eps: number;
  weightDecay: number;
  /** 0: no clipping. */
  gradClipNorm: number;
}

/** A model that lives on the service at an exact point; passed through the workflow, and only a hint. */
export interface LiveModel {
  modelId: string;
  /** Next `seq_id`: training requests of one model are executed in this order. */
  nextSeqId: number;
  /** The checkpoint it stands at. */
  checkpointId: string;
}

export interface StepResult {
  /** Sum of the loss over tokens, as the service reports it. */
  loss: number;
  /** Log-probability of each target under the weights before the step; aligned with `Datum.tokens`, 0 at position 0. */
  logprobs: number[][];
  metrics: Record<string, number>;
}

export interface Trainer {
  /**
   * A new model standing at the checkpoint, never an old one. `optimizer`: restore its state too (inside a stage), or
   * start a fresh one (at a stage's start).
   */
  restore(checkpoint: Checkpoint, options: { optimizer: boolean }, signal: AbortSignal): Promise<LiveModel>;
  /** One forward-backward over all data and one optimiser step, pipelined. Returns the model with its next seq id. */
  step(
    live: LiveModel,
    data: Datum[],
    loss: { name: LossName; config?: Record<string, number> },
    adam: AdamParams,
    signal: AbortSignal,
  ): Promise<{ live: LiveModel; result: StepResult }>;
  /**
   * Log-probabilities as `step` gives them (cross-entropy weights in `data`), under the model's weights, which stay as
   * they are. Null where the service cannot do that without training.
   */
  forward(
    live: LiveModel,
    data: Datum[],
    signal: AbortSignal,
  ): Promise<{ live: LiveModel; logprobs: number[][] | null }>;
  /** Saves weights and optimiser state under a name; returns what `restore` takes as `trainerState`. */
  save(
    live: LiveModel,
    name: string,
    options: { ttlSeconds?: number },
    signal: AbortSignal,
  ): Promise<{ live: LiveModel; trainerState: string }>;
  /** Saves weights for sampling under a name; returns the sampler's model name. */
  saveForSampler(
    live: LiveModel,
    name: string,
    signal: AbortSignal,
  ): Promise<{ live: LiveModel; samplerModel: string }>;
  /**
   * Writes what `saveForSampler` named (a model, or a PEFT adapter) as files into a new folder below `folder` and gives
   * that one's path; weights that already are a folder stay where they are.
   */
  fetchWeights(samplerModel: string, folder: string, signal: AbortSignal): Promise<string>;
  /** Forgets a live model. Never fails. */
  release(live: LiveModel, signal: AbortSignal): Promise<void>;
}
