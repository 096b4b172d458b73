import { createRandom, deriveSeed, type Random } from '../../core/seed.ts';
import { defaultTasks } from '../../core/tasks/index.ts';
import type { ServiceError } from '../errors.ts';
import type { Renderer } from '../renderer/renderer.ts';
import type { Completion, SampleRequest, Sampler } from '../sampler/sampler.ts';
import { memoryJournal } from './journal.ts';

export interface ScriptedSamplerOptions {
  renderer: Renderer;
  /** Called before every request; what it returns is thrown instead of an answer. */
  faults?: (request: SampleRequest) => ServiceError | undefined;
}

/** Most times that a model with "search" in its name goes back in one answer. */
const SEARCH_RETRIES = 3;

/** A token's log-probability, the same for sampler and trainer, so that the two never disagree. */
export const scriptedLogprob = (token: number): number => -(0.05 + 0.15 * (token % 7));

/**
 * A sampler without a model, for tests: text by the script of the task that knows the prompt, which depends only on
 * the model's name, the prompt, the seed and the indices of prompt and sample. Models whose name contains "search" may
 * go back and try again. It keeps its journal in memory.
 */
export function scriptedSampler({ renderer, faults }: ScriptedSamplerOptions): Sampler {
  const journal = memoryJournal();
  const scripts = defaultTasks();

  /** A prompt of no task gets an empty answer: a model that understands nothing ends its text at once. */
  function write(text: string, random: Random, retries: number): string {
    for (const task of scripts) {
      const whole = task.script(text, random, retries);
      if (whole !== null) return whole;
    }
    return '';
  }

  function complete(request: SampleRequest, text: string, promptIndex: number, sample: number): Completion {
    // At temperature 0 all samples are the most likely one.
    const draw = request.temperature === 0 ? 'greedy' : sample;
    const random = createRandom(deriveSeed('scripted', request.model, text, request.seed, promptIndex, draw));
    const whole = write(text, random, request.model.includes('search') ? SEARCH_RETRIES : 0);
    const ends = request.stops
      .filter((stop) => whole.includes(stop))
      .map((stop) => whole.indexOf(stop) + (request.keepStop ? stop.length : 0));
    const tokens =
      ends.length > 0
        ? renderer.encode(whole.slice(0, Math.min(...ends)))
        : [...renderer.encode(whole), renderer.eosToken];
    const kept = tokens.slice(0, request.maxTokens);
    return {
      tokens: kept,
      text: renderer.decode(kept),
      ...(request.logprobs ? { logprobs: kept.map(scriptedLogprob) } : {}),
      stopReason: kept.length < tokens.length ? 'length' : 'stop',
    };
  }

  return {
    async sample(request, signal) {
      signal.throwIfAborted();
      const fault = faults?.(request);
      if (fault) throw fault;
      const completions = request.prompts.map((prompt, index) => {
        return Array.from({ length: request.n }, (_, sample) => complete(request, prompt.text, index, sample));
      });
      const completionTokens = completions.flat().reduce((sum, completion) => sum + completion.tokens.length, 0);
      const promptTokens = request.prompts.reduce((sum, { tokens }) => sum + tokens.length, 0);
      journal.add(request, { promptTokens, completionTokens });
      return { completions, calls: 1, promptTokens, completionTokens };
    },
    async confirm(_model, signal) {
      signal.throwIfAborted();
    },
    served: journal.served,
    journal: journal.journal,
  };
}
