import type { Capabilities } from './capabilities.ts';
import { decoders } from './codec.ts';
import { jsonBody } from './http.ts';
import type { ModelInput, SampleInput, SampleOutput, SamplerInfo } from './protocol.ts';
import type { Pending, Transport, Watch } from './transport.ts';

export interface NewSampler {
  sessionId: string;
  /** Of the session: 0, 1, 2, … */
  seqId: number;
  /** Exactly one of the two. */
  baseModel?: string;
  modelPath?: string;
}

/** Whose weights answer: one of the three ways of `SampleInput`. */
export type SampleFrom = Pick<SampleInput, 'base_model' | 'model_path' | 'sampling_session_id' | 'seq_id'>;

/** Token ids in, token ids out. */
export function samplingCalls({ json, submit }: Transport, can: Capabilities) {
  /** Sampling twice costs tokens and nothing else, so a promise that was lost is asked for anew. */
  async function sample(input: SampleInput, signal: AbortSignal, watch?: Watch): Promise<Pending<SampleOutput>> {
    const { requestId, result } = await submit<SampleOutput>(
      {
        path: '/asample',
        body: jsonBody({ ...input, type: 'sample' }),
        type: 'sample',
        // An overloaded server refuses (429), rather than to let the request wait where nobody sees it.
        headers: { 'x-tinker-sampling-backpressure': '1' },
        repeatable: true,
        cancels: true,
        decode: decoders.sample,
        wantsProtobuf: can.wire === 'proto',
        watch,
      },
      signal,
    );
    return { requestId, result: async () => fromFirstToken(input.prompt, await result()) };
  }

  return {
    sample,

    /** Log-probability of each token of a text under the tokens before it; null for the first (`promptLogprobs`). */
    async computeLogprobs(from: SampleFrom, prompt: ModelInput, signal: AbortSignal): Promise<(number | null)[]> {
      const sampling_params = { max_tokens: 1 };
      const input = { ...from, prompt, num_samples: 1, sampling_params, prompt_logprobs: true };
      return (await (await sample(input, signal)).result()).prompt_logprobs ?? [];
    },

    createSamplingSession: async (sampler: NewSampler, signal: AbortSignal): Promise<string> => {
      const body = {
        session_id: sampler.sessionId,
        sampling_session_seq_id: sampler.seqId,
        ...(sampler.baseModel === undefined ? {} : { base_model: sampler.baseModel }),
        ...(sampler.modelPath === undefined ? {} : { model_path: sampler.modelPath }),
        type: 'create_sampling_session',
      };
      const made = await json<{ sampling_session_id: string }>('POST', '/create_sampling_session', body, signal);
      return made.sampling_session_id;
    },
    sampler: (samplingSessionId: string, signal: AbortSignal) =>
      json<SamplerInfo>('GET', `/samplers/${encodeURIComponent(samplingSessionId)}`, undefined, signal),
  };
}

/** The first token has no log-probability; some servers begin with the second instead of saying so. */
function fromFirstToken({ chunks }: ModelInput, output: SampleOutput): SampleOutput {
  if (!chunks.every((chunk) => chunk.type === 'encoded_text')) return output;
  const length = chunks.reduce((sum, { tokens }) => sum + tokens.length, 0);
  const whole = <T>(values: (T | null)[]) => (values.length === length - 1 ? [null, ...values] : values);
  const { prompt_logprobs, topk_prompt_logprobs } = output;
  return {
    ...output,
    ...(prompt_logprobs ? { prompt_logprobs: whole(prompt_logprobs) } : {}),
    ...(topk_prompt_logprobs ? { topk_prompt_logprobs: whole(topk_prompt_logprobs) } : {}),
  };
}
