import type { ServedCall } from '../../core/ledger/types.ts';
import type { ServedBy } from '../../core/records.ts';
import type { Load } from '../gate.ts';

/** The two ways a completion ends: a stop string or the end-of-text token, or the token limit. */
export type StopReason = 'stop' | 'length';

/** What a completion continues, both ways; which of them a service is sent is its sampler's matter. */
export interface Prompt {
  tokens: number[];
  /** The same text, special tokens written out. */
  text: string;
}

export interface SampleRequest {
  /** Deterministic id of the call, sent to the service as a header: `<stage key>/<problem>/<round>/<ask>`. */
  callId: string;
  /** Attempt number of the calling activity, from 1. */
  attempt: number;
  /** Which activity calls: attempts of two of them may have one number. For the service's journal. */
  activity?: string;
  /** Headers of a trace that the service's own spans may join; none where nothing is traced. */
  trace?: Record<string, string>;
  /** The policy version: a checkpoint's `samplerModel`. */
  model: string;
  /** All prompts share the parameters below. */
  prompts: Prompt[];
  /** Samples per prompt. */
  n: number;
  maxTokens: number;
  temperature: number;
  /** Stop strings. Empty: run to the end of the text. */
  stops: string[];
  /** Whether the matched stop string ends the completion; otherwise it is cut away, text and tokens. */
  keepStop: boolean;
  /** 32-bit; with the prompt's index, the sample's index and the position it fixes all sampling noise. */
  seed: number;
  /**
   * Log-probabilities of the sampled tokens. `wanted`: where the service has them (search does without);
   * `required`: a service without them is refused, and so is one that does not give the sampled tokens (RL).
   */
  logprobs: 'required' | 'wanted' | false;
  /** Calls with one of these go to one server of several where that costs no waiting; left out, each prompt has its own. */
  affinity?: string;
}

export interface Completion {
  /** As sampled; what had to be encoded anew and when is said in `cut-at-stop.ts`. */
  tokens: number[];
  /** Decoded by the service, without special tokens. */
  text: string;
  /** One per token; left out where the service has none. */
  logprobs?: number[];
  stopReason: StopReason;
  /** Left out where nothing is known. */
  servedBy?: ServedBy;
}

export interface SampleResult {
  /** `completions[i]` are the n samples of `prompts[i]`. */
  completions: Completion[][];
  /** Requests that the service answered; more than one where it cannot do all of a call at once. */
  calls: number;
  promptTokens: number;
  completionTokens: number;
  /** What the server calls itself, its version included; absent where it does not say. */
  engine?: string;
}

/** What a model can be asked: whole batches of prompts. Errors are `ServiceError`s. */
export interface Sampler {
  sample(request: SampleRequest, signal: AbortSignal): Promise<SampleResult>;
  /** Confirms that a model name can be sampled from now. Rejects with `ServiceError` (`lost`) when it cannot. */
  confirm(model: string, signal: AbortSignal): Promise<void>;
  /**
   * Calls and sampled tokens served for calls whose id starts with the prefix, all attempts together; null where the
   * service keeps no journal.
   */
  served(callPrefix: string, signal: AbortSignal): Promise<{ calls: number; tokens: number } | null>;
  /** The same call by call, in the order served; null where the service keeps no such journal. */
  journal(callPrefix: string, signal: AbortSignal): Promise<ServedCall[] | null>;
  /** How this process uses the service now; null or left out: nothing is known. */
  load?(): Load | null;
}
