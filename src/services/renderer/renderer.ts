import type { Message } from '../../core/problem.ts';
import type { Prompt } from '../sampler/sampler.ts';

/** Messages to token ids and back, for one model. */
export interface Renderer {
  /**
   * What a completion continues. A last message of the assistant is the beginning of the answer.
   * @throws ServiceError (fatal) naming text the vocabulary lacks, or saying why the template refuses the messages
   */
  prompt(messages: readonly Message[]): Prompt;
  /** Token ids of plain text, without special tokens: for text that we wrote. Sampled text is never encoded again. */
  encode(text: string): number[];
  /** `special`: special tokens are written out, as in a prompt's text; otherwise they are left out. */
  decode(tokens: readonly number[], options?: { special: boolean }): string;
  /** Ends an answer: what a chat template puts after it, or the model's end-of-text token. */
  eosToken: number;
  /** What begins every text of the model, where it has such a token: servers that take text add it themselves. */
  bos: string | null;
  /** Identifies the vocabulary and template: part of content keys. */
  hash: string;
}
