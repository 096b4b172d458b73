import type { Prompt, SampleRequest } from './sampler.ts';

/** `policy.sampler.priority`: a number that is sent as it is, or whose turn comes first. */
export type Priority = number | 'short-first' | 'old-first';

/**
 * What a request is sent as `priority`: the lower, the sooner, as vLLM has it.
 *
 * @param prompts of this request
 * @param begunAtMs when its call began: further requests of a call go before newer calls
 */
export function priorityOf(
  priority: Priority,
  { maxTokens }: Pick<SampleRequest, 'maxTokens'>,
  prompts: readonly Prompt[],
  begunAtMs: number,
): number {
  if (typeof priority === 'number') return priority;
  // Whole seconds of 2^31: servers keep it in 32 bits.
  if (priority === 'old-first') return Math.floor(begunAtMs / 1000) % 2 ** 31;
  return maxTokens + Math.max(0, ...prompts.map(({ tokens }) => tokens.length));
}
