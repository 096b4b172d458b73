import type { Message } from '../../core/problem.ts';
import type { Prompt } from '../sampler/sampler.ts';

/** Messages to token ids and back, for one model. */
export interface Renderer {
  /** What a completion continues. @throws ServiceError (fatal) naming text the vocabulary lacks. */
  prompt(messages: Message[]): Prompt;
  /** Token ids of plain text, without special tokens: for text that we wrote. Sampled text is never encoded again. */
  encode(text: string): number[];
  decode(tokens: readonly number[]): string;
  /** Ends an answer. */
  eosToken: number;
  /** Identifies the vocabulary and template: part of content keys. */
  hash: string;
}
