import type { ServedBy } from '../../core/records.ts';
import { ServiceError } from '../errors.ts';
import { saysEndOfText, stopReasonOf } from '../openai/finish-reason.ts';
import type { Renderer } from '../renderer/renderer.ts';
import type { RawCompletion } from './cut-at-stop.ts';
import type { Dialect } from './openai-dialect.ts';
import type { Prompt, SampleRequest } from './sampler.ts';

/** A choice of `/v1/completions`, with what engines add when asked (vLLM, SGLang). */
export interface Choice {
  index?: number;
  text: string;
  finish_reason?: string | null;
  /** vLLM: the string or token id that ended the text; null at its end-of-text token. */
  stop_reason?: string | number | null;
  /** SGLang's name for it. */
  matched_stop?: string | number | null;
  token_ids?: number[] | null;
  prompt_token_ids?: number[] | null;
  logprobs?: {
    token_logprobs?: (number | null)[] | null;
    /** As in chats, which llama.cpp also uses here. */
    content?: { logprob: number }[] | null;
  } | null;
  /** Ours: who gave it. */
  servedBy?: ServedBy;
  /** vLLM, where it says so: the weights of each stretch of tokens. */
  weight_versions?: { version: string }[] | null;
}

export interface WireAnswer {
  choices: Choice[];
  /** vLLM and llama.cpp name themselves and their version here. */
  system_fingerprint?: string | null;
  /** SGLang: the weights that answered. */
  metadata?: { weight_version?: string | null } | null;
  usage?: { prompt_tokens?: number | null; completion_tokens?: number | null } | null;
}

/** Prompts as one request of the server's dialect sends them. */
export type PromptForm = 'tokens' | 'text';

export function toBody(
  request: SampleRequest,
  ask: { prompts: readonly Prompt[]; n: number; seed: number },
  form: { prompts: PromptForm; bos: string | null },
  dialect: Dialect,
  /** Of the version, and of the server's extensions. */
  fields: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  const body: Record<string, unknown> = {
    model: request.model,
    prompt: toPrompt(ask.prompts, form, dialect),
    ...(dialect.many ? { n: ask.n } : {}),
    max_tokens: request.maxTokens,
    temperature: request.temperature,
    // Said, because a server may take another default from the model's files.
    top_p: 1,
    seed: ask.seed,
    ...(request.stops.length > 0 ? { stop: request.stops, include_stop_str_in_output: request.keepStop } : {}),
    ...(request.logprobs && dialect.logprobs !== null ? { logprobs: dialect.logprobs } : {}),
    ...(form.prompts === 'tokens' ? { return_token_ids: true } : {}),
    ...fields,
  };
  for (const field of dialect.refused) delete body[field];
  return body;
}

/** Servers that take text begin it themselves, so a beginning that the template wrote would stand there twice. */
export function textOf({ text }: Prompt, bos: string | null): string {
  return bos !== null && text.startsWith(bos) ? text.slice(bos.length) : text;
}

function toPrompt(
  prompts: readonly Prompt[],
  { prompts: form, bos }: { prompts: PromptForm; bos: string | null },
  { lists }: Dialect,
): unknown {
  const written = prompts.map((prompt) => (form === 'tokens' ? prompt.tokens : textOf(prompt, bos)));
  const alone = written.length === 1 && (form === 'text' || !lists);
  return alone ? written[0] : written;
}

/** What one choice says, in our terms. @throws ServiceError (retryable) when it is no sample of the model */
export function toRaw(
  choice: Choice,
  request: SampleRequest,
  form: PromptForm,
  renderer: Pick<Renderer, 'encode'>,
  service: string,
): RawCompletion {
  const text = choice.text ?? '';
  // Where text was sent, the server's vocabulary need not be ours.
  const tokens = form === 'tokens' && Array.isArray(choice.token_ids) ? choice.token_ids : null;
  const length = () => (tokens ?? renderer.encode(text)).length;
  const stopReason = stopReasonOf(choice.finish_reason, () => length() >= request.maxTokens);
  if (stopReason === null) {
    const message = `${service} ended a completion with ${JSON.stringify(choice.finish_reason)}, so it is not a sample`;
    throw new ServiceError('retryable', message, { service });
  }
  return { text, tokens, logprobs: logprobsOf(choice), stopReason, endedBy: endedBy(choice) };
}

/** The weights that a server says it answered with; several are joined, undefined: it does not say. */
export function weightsOf({ metadata, choices }: WireAnswer): string | undefined {
  const spans = (choices ?? []).flatMap(({ weight_versions: versions }) => versions ?? []);
  const said = metadata?.weight_version ?? [...new Set(spans.map(({ version }) => version))].join(', ');
  return said === '' ? undefined : said;
}

function endedBy(choice: Choice): RawCompletion['endedBy'] {
  if (saysEndOfText(choice.finish_reason)) return 'end-of-text';
  const said = choice.stop_reason !== undefined ? choice.stop_reason : choice.matched_stop;
  if (said === undefined) return undefined;
  // We never stop at token ids, so an id is the model's own way to end.
  return typeof said === 'string' ? { stop: said } : 'end-of-text';
}

/** Null unless there is one for each token. */
export function logprobsOf({ logprobs }: Choice): number[] | null {
  const values = logprobs?.token_logprobs ?? logprobs?.content?.map(({ logprob }) => logprob);
  return Array.isArray(values) && values.every((value) => typeof value === 'number') ? (values as number[]) : null;
}
