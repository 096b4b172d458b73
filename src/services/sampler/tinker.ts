import { ServiceError } from '../errors.ts';
import { createGates, type Gates } from '../gate.ts';
import type { Renderer } from '../renderer/renderer.ts';
import {
  encodedText,
  type QueueState,
  type SampledSequence,
  type SampleInput,
  type SampleOutput,
  servingModels,
  type TinkerClient,
  type TinkerOptions,
} from '../tinker/index.ts';
import { type TinkerSection, tinkerLink, withServiceErrors } from '../tinker-link.ts';
import { cutAtStop } from './cut-at-stop.ts';
import type { Completion, SampleRequest, Sampler } from './sampler.ts';

export interface TinkerSamplerConfig extends TinkerSection {
  /** As for an OpenAI sampler. */
  maxConcurrency?: number | undefined;
}

type From = Pick<SampleInput, 'base_model' | 'model_path'>;
type Question = Omit<SampleInput, keyof From>;

const service = 'the sampler (policy.sampler)';

/**
 * A sampler behind the Tinker API: token ids in and out, one request per prompt, all at once. The server has no call
 * ids and no journal. Sampling twice costs tokens and nothing else, so lost answers are simply asked for again.
 */
export function tinkerSampler(
  config: TinkerSamplerConfig,
  env: NodeJS.ProcessEnv,
  renderer: Renderer,
  { gates = createGates(), ...overrides }: Partial<TinkerOptions> & { gates?: Gates } = {},
): Sampler {
  let lastAddress: string | null = null;
  const connect = tinkerLink(config, env, { path: 'policy.sampler', service }, overrides);
  const serving = new WeakMap<TinkerClient, ReturnType<typeof servingModels>>();

  /** From the model itself, or from whatever serves its weights. */
  async function sampleFrom<T>(
    client: TinkerClient,
    model: string,
    ask: (from: From) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    if (!model.startsWith('tinker://')) return ask({ base_model: model });
    if (client.can.samplerWeights === 'stored') return ask({ model_path: model });
    const models = serving.get(client) ?? servingModels(client);
    serving.set(client, models);
    return models.through(model, (path) => ask({ model_path: path }), signal);
  }

  /** One prompt, from its turn at the gate to its samples; a lost promise is asked for anew by whoever retries. */
  async function ask(model: string, input: Question, signal: AbortSignal): Promise<SampleOutput> {
    try {
      const { connection, client } = await withServiceErrors(() => connect(signal));
      lastAddress = connection.baseUrl;
      const gate = gates(connection.baseUrl, config.maxConcurrency);
      return await gate.run(
        ({ overloaded }) => {
          const onPending = (state: QueueState) => {
            if (state.startsWith('paused')) overloaded();
          };
          const watch = { onPending, onOverload: overloaded };
          return withServiceErrors(() =>
            sampleFrom(
              client,
              model,
              async (from) => (await client.sample({ ...from, ...input }, signal, watch)).result(),
              signal,
            ),
          );
        },
        signal,
        config.timeoutMs,
      );
    } catch (error) {
      throw error instanceof ServiceError && (error.kind === 'ambiguous' || error.status === 410)
        ? new ServiceError('retryable', error.message, { service, cause: error })
        : error;
    }
  }

  function toCompletion(sequence: SampledSequence, request: SampleRequest): Completion {
    const logprobs = sequence.logprobs ?? null;
    if (request.logprobs === 'required' && logprobs?.length !== sequence.tokens.length) {
      const message = `${service} gives no log-probabilities, which reinforcement learning needs`;
      throw new ServiceError('fatal', message, { service });
    }
    const stopReason = sequence.stop_reason === 'length' ? 'length' : 'stop';
    // All that was sampled is here, a matched stop string too: where there is none, the text came to its end.
    const raw = { tokens: sequence.tokens, text: renderer.decode(sequence.tokens), logprobs, stopReason } as const;
    return cutAtStop({ ...raw, endedBy: 'end-of-text' }, request, renderer);
  }

  return {
    async sample(request, caller) {
      const others = new AbortController();
      const signal = AbortSignal.any([caller, others.signal]);
      const results = await Promise.all(
        request.prompts.map(({ tokens }, index) =>
          ask(request.model, toInput(request, tokens, index, renderer.eosToken), signal),
        ),
      ).catch((error) => {
        // The call starts over as a whole: nobody needs the rest of it.
        others.abort(error);
        throw error;
      });
      const completions = results.map(({ sequences }) => {
        if (sequences.length === request.n) return sequences.map((sequence) => toCompletion(sequence, request));
        const message = `${service} gave ${sequences.length} samples of a prompt instead of ${request.n}`;
        throw new ServiceError('retryable', message, { service });
      });
      return {
        completions,
        calls: request.prompts.length,
        promptTokens: request.prompts.reduce((sum, { tokens }) => sum + tokens.length, 0),
        completionTokens: results
          .flatMap(({ sequences }) => sequences)
          .reduce((sum, { tokens }) => sum + tokens.length, 0),
      };
    },

    /** One token of proof: no other request of the API says that a name can be sampled from. */
    async confirm(model, signal) {
      const sampling_params = { max_tokens: 1, temperature: 1, seed: 0 };
      const prompt = encodedText([renderer.eosToken]);
      await ask(model, { prompt, num_samples: 1, sampling_params }, signal);
    },

    served: async () => null,
    journal: async () => null,
    load: () => (lastAddress === null ? null : gates(lastAddress).load()),
  };
}

/**
 * The API takes stop strings or stop tokens, never both; without strings the end-of-text token is named. With strings a
 * server may sample on behind the end of the text, and some apply them only afterwards: what is too much is cut away.
 */
function toInput(request: SampleRequest, prompt: number[], index: number, eosToken: number): Question {
  return {
    prompt: encodedText(prompt),
    num_samples: request.n,
    sampling_params: {
      max_tokens: request.maxTokens,
      // Prompts go in requests of their own: equal ones must still differ in their noise.
      seed: (request.seed + Math.imul(index, SEED_STRIDE)) & MAX_SEED,
      temperature: request.temperature,
      stop: request.stops.length > 0 ? request.stops : [eosToken],
    },
  };
}

/** 2^32 / golden ratio: spreads small indices over all seeds. */
const SEED_STRIDE = 0x9e3779b1;
/** Servers add the sample's number, and SkyRL holds the sum in 32 bits with a sign: a larger one fails its whole batch. */
const MAX_SEED = 0x3fffffff;
