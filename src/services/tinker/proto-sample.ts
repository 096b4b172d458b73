import { DTYPE_FLOAT32, DTYPE_INT32, messages } from './proto-schema.ts';
import type { SampleOutput } from './protocol.ts';
import { fromBytes } from './tensor-bytes.ts';

interface Response {
  sequences: { stop_reason: number; tokens: Uint8Array; logprobs?: Uint8Array }[];
  /** NaN where there is none. */
  prompt_logprobs?: Uint8Array;
  topk_prompt_logprobs?: { token_ids: Uint8Array; logprobs: Uint8Array; k: number; length: number };
  prompt_cache_hit_tokens: number;
}

/** Fills the places of a top-k row that has no value. */
const NO_LOGPROB = -99_999;

/** A sampling result in protobuf. */
export function decodeSample(bytes: Uint8Array): SampleOutput {
  const type = messages.SampleResponse;
  const response = type.toObject(type.decode(bytes), { defaults: true }) as Response;
  const { prompt_logprobs, topk_prompt_logprobs } = response;
  return {
    sequences: response.sequences.map(({ stop_reason, tokens, logprobs }) => ({
      tokens: fromBytes(tokens, DTYPE_INT32),
      ...(logprobs?.length ? { logprobs: fromBytes(logprobs, DTYPE_FLOAT32) } : {}),
      stop_reason: stop_reason === 1 ? 'length' : 'stop',
    })),
    ...(prompt_logprobs?.length
      ? {
          prompt_logprobs: fromBytes(prompt_logprobs, DTYPE_FLOAT32).map((value) =>
            Number.isNaN(value) ? null : value,
          ),
        }
      : {}),
    ...(topk_prompt_logprobs?.k ? { topk_prompt_logprobs: toRows(topk_prompt_logprobs) } : {}),
    prompt_cache_hit_tokens: response.prompt_cache_hit_tokens,
  };
}

function toRows({ token_ids, logprobs, k, length }: NonNullable<Response['topk_prompt_logprobs']>) {
  const ids = fromBytes(token_ids, DTYPE_INT32);
  const values = fromBytes(logprobs, DTYPE_FLOAT32);
  return Array.from({ length }, (_, row) => {
    const pairs = ids
      .slice(row * k, (row + 1) * k)
      .map((id, column): [number, number] => [id, values[row * k + column] ?? NO_LOGPROB])
      .filter(([, value]) => value > NO_LOGPROB);
    return pairs.length === 0 ? null : pairs;
  });
}
