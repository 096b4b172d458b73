import type { ServedCall } from '../../core/ledger/types.ts';
import type { Message } from '../../core/problem.ts';
import type { Usage } from '../../core/usage.ts';
import type { Load } from '../gate.ts';
import type { StopReason } from '../sampler/sampler.ts';

export interface TextRequest {
  /** Deterministic id of the call: `<stage key>/<tree>/<role>/<ask>`. */
  callId: string;
  /** Attempt number of the calling activity, from 1. */
  attempt: number;
  /** As `SampleRequest.activity`. */
  activity?: string;
  /** As `SampleRequest.trace`. */
  trace?: Record<string, string>;
  messages: Message[];
  /** Answers wanted. */
  n: number;
  maxTokens: number;
  temperature: number;
  /** 32-bit. */
  seed: number;
}

export interface TextAnswer {
  /** n answers, in the order sampled. */
  texts: { text: string; stopReason: StopReason }[];
  usage: Usage;
}

/** A model in a role that only needs text: judge and narrator. Errors are `ServiceError`s. */
export interface TextModel {
  /** What a row records: the model's name. */
  name: string;
  ask(request: TextRequest, signal: AbortSignal): Promise<TextAnswer>;
  /** As `Sampler.served`. */
  served(callPrefix: string, signal: AbortSignal): Promise<{ calls: number; tokens: number } | null>;
  /** As `Sampler.journal`. */
  journal(callPrefix: string, signal: AbortSignal): Promise<ServedCall[] | null>;
  /** As `Sampler.load`. */
  load?(): Load | null;
}
