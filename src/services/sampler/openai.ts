import OpenAI, { APIConnectionError, APIConnectionTimeoutError, APIError } from 'openai';
import { type EnvOr, resolveConnection, startHint } from '../address.ts';
import { ServiceError } from '../errors.ts';
import type { Completion, SampleRequest, Sampler } from './sampler.ts';

export interface OpenAiSamplerConfig {
  baseUrl: EnvOr;
  apiKey?: EnvOr | undefined;
  timeoutMs: number;
}

/** What engines such as vLLM add to a choice of `/v1/completions` when asked for token ids. */
interface Choice {
  index: number;
  text: string;
  finish_reason: string | null;
  token_ids?: number[] | null;
  logprobs?: { token_logprobs?: (number | null)[] | null } | null;
}

const service = 'the sampler (policy.sampler)';

/**
 * A sampler behind `/v1/completions` with token ids in and out, as vLLM and the bundled engine serve it. Retrying is
 * left to the caller, who knows what an attempt costs.
 */
export function openaiSampler(config: OpenAiSamplerConfig, env: NodeJS.ProcessEnv): Sampler {
  function connect() {
    const { baseUrl, apiKey } = resolveConnection(config, env, 'policy.sampler');
    const root = baseUrl.replace(/\/v1$/, '');
    const client = new OpenAI({
      baseURL: `${root}/v1`,
      // The client insists on a key; engines without one ignore it.
      apiKey: apiKey ?? 'none',
      // What the process has for OpenAI itself is none of this server's business.
      organization: null,
      project: null,
      adminAPIKey: null,
      maxRetries: 0,
      timeout: config.timeoutMs,
    });
    return { client, root };
  }

  // The client leaves a listener on every signal it is given; derived ones keep an activity's own signal clean.
  return {
    async sample(request, signal) {
      const { client, root } = connect();
      try {
        // The body has fields that the client's types do not know; it sends them as they are.
        const response = await client.completions.create(toBody(request) as never, {
          signal: AbortSignal.any([signal]),
          headers: {
            'x-astroflow-call': request.callId,
            'x-astroflow-attempt': String(request.attempt),
          },
        });
        return toResult(request, response as unknown as { choices: Choice[]; usage?: OpenAI.CompletionUsage });
      } catch (error) {
        throw toServiceError(error, root, signal);
      }
    },

    async confirm(model, signal) {
      const { client, root } = connect();
      try {
        // The list, not one model: not every server answers for a single name.
        for await (const served of client.models.list({ signal: AbortSignal.any([signal]) })) {
          if (served.id === model) return;
        }
      } catch (error) {
        throw toServiceError(error, root, signal);
      }
      throw new ServiceError('lost', `${service} at ${root} does not serve the model ${model}`, { service });
    },

    async served(callPrefix, signal) {
      const { client, root } = connect();
      try {
        const path = `${root}/astroflow/usage?prefix=${encodeURIComponent(callPrefix)}`;
        const usage = (await client.get(path, { signal: AbortSignal.any([signal]) })) as {
          calls: number;
          completion_tokens: number;
        };
        return { calls: usage.calls, tokens: usage.completion_tokens };
      } catch (error) {
        if (error instanceof APIError && error.status === 404) return null;
        throw toServiceError(error, root, signal);
      }
    },
  };
}

function toBody(request: SampleRequest) {
  return {
    model: request.model,
    prompt: request.prompts.map(({ tokens }) => tokens),
    n: request.n,
    max_tokens: request.maxTokens,
    temperature: request.temperature,
    // Said, because a server may take another default from the model's files.
    top_p: 1,
    seed: request.seed,
    ...(request.stops.length > 0 ? { stop: request.stops, include_stop_str_in_output: true } : {}),
    // 0 means: of the sampled token only.
    ...(request.logprobs ? { logprobs: 0 } : {}),
    return_token_ids: true,
  };
}

function toResult(request: SampleRequest, response: { choices: Choice[]; usage?: OpenAI.CompletionUsage }) {
  const expected = request.prompts.length * request.n;
  if (response.choices?.length !== expected) {
    const found = response.choices?.length ?? 'no';
    const message = `${service} gave ${found} choices instead of ${expected}: it must serve lists of prompts`;
    throw new ServiceError('fatal', message, { service });
  }
  // Prompt-major: index = prompt x n + sample.
  const ordered = [...response.choices]
    .sort((a, b) => a.index - b.index)
    .map((choice) => toCompletion(choice, request));
  const completions = request.prompts.map((_, prompt) => ordered.slice(prompt * request.n, (prompt + 1) * request.n));
  return {
    completions,
    promptTokens: response.usage?.prompt_tokens ?? request.prompts.reduce((sum, { tokens }) => sum + tokens.length, 0),
    completionTokens:
      response.usage?.completion_tokens ?? ordered.reduce((sum, completion) => sum + completion.tokens.length, 0),
  };
}

function toCompletion(choice: Choice, request: SampleRequest): Completion {
  if (choice.finish_reason !== 'stop' && choice.finish_reason !== 'length') {
    const message = `${service} ended a completion with ${JSON.stringify(choice.finish_reason)}, so it is not a sample`;
    throw new ServiceError('retryable', message, { service });
  }
  const tokens = choice.token_ids;
  if (!Array.isArray(tokens)) throw lacks('token ids (return_token_ids)');
  const completion = { tokens, text: choice.text, stopReason: choice.finish_reason } as const;
  if (!request.logprobs) return completion;
  const logprobs = choice.logprobs?.token_logprobs;
  if (logprobs?.length !== tokens.length || !logprobs.every((logprob) => typeof logprob === 'number')) {
    throw lacks('log-probabilities of the sampled tokens (logprobs)');
  }
  return { ...completion, logprobs };
}

function lacks(what: string): ServiceError {
  const message = `${service} answers without ${what}, so it cannot serve search or RL: use the bundled engine or vLLM`;
  return new ServiceError('fatal', message, { service });
}

function toServiceError(error: unknown, root: string, signal: AbortSignal): unknown {
  signal.throwIfAborted();
  if (error instanceof APIConnectionTimeoutError) {
    const message = `${service} at ${root} did not answer in time; raise policy.sampler.timeoutMs if that is normal`;
    return new ServiceError('retryable', message, { service, cause: error });
  }
  if (error instanceof APIConnectionError) {
    const message = `${service} at ${root} is unreachable (${codeOf(error) ?? error.message}): ${startHint}`;
    return new ServiceError('retryable', message, { service, cause: error });
  }
  if (!(error instanceof APIError) || error.status === undefined) return error;
  const status = Number(error.status);
  const retryable = status === 408 || status === 429 || status >= 500;
  const kind = retryable ? 'retryable' : status === 404 && isAboutModel(error) ? 'lost' : 'fatal';
  const wait = retryAfterMs(error.headers);
  return new ServiceError(kind, `${service} at ${root} refused the request: ${error.message}`, {
    service,
    status,
    ...(retryable && wait !== undefined ? { retryAfterMs: wait } : {}),
    cause: error,
  });
}

/** A missing route answers "Not Found" and means a wrong address; a missing model says so. */
function isAboutModel(error: APIError): boolean {
  return /model/i.test(error.message);
}

function retryAfterMs(headers: Headers | undefined): number | undefined {
  const ms = Number(headers?.get('retry-after-ms') ?? Number.NaN);
  const seconds = Number(headers?.get('retry-after') ?? Number.NaN);
  const wait = Number.isFinite(ms) ? ms : seconds * 1000;
  return Number.isFinite(wait) && wait >= 0 ? wait : undefined;
}

function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return 'code' in error && typeof error.code === 'string' ? error.code : codeOf(error.cause);
}
