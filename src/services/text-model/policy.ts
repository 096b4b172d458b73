import type { Renderer } from '../renderer/renderer.ts';
import type { Sampler } from '../sampler/sampler.ts';
import type { TextModel } from './text-model.ts';

/** The policy's base model in another role: the same sampler and template, and text out. */
export function policyTextModel(base: string, sampler: Sampler, renderer: Renderer): TextModel {
  return {
    name: base,
    async ask({ messages, ...request }, signal) {
      const { completions, calls, promptTokens, completionTokens } = await sampler.sample(
        {
          ...request,
          model: base,
          prompts: [renderer.prompt(messages)],
          stops: [],
          keepStop: false,
          logprobs: false,
        },
        signal,
      );
      const texts = (completions[0] ?? []).map(({ text, stopReason }) => ({ text, stopReason }));
      return { texts, usage: { calls, promptTokens, completionTokens } };
    },
    served: (callPrefix, signal) => sampler.served(callPrefix, signal),
    journal: (callPrefix, signal) => sampler.journal(callPrefix, signal),
    load: () => sampler.load?.() ?? null,
  };
}
