import { APIError } from 'openai';
import { ServiceError } from '../errors.ts';

/**
 * What a server behind `/v1/completions` was seen to do with what it was asked. A sampler starts out as with vLLM and
 * learns from answers and refusals; nothing is asked only to find out.
 */
export interface Dialect {
  /** Several prompts in one request. */
  lists: boolean;
  /** Several samples of a prompt (`n`). */
  many: boolean;
  /** What to ask for as `logprobs`: 0 means of the sampled token only; some want at least 1; null: there are none. */
  logprobs: 0 | 1 | null;
  /** Fields that it refuses. */
  refused: readonly string[];
}

export const fluent: Dialect = { lists: true, many: true, logprobs: 0, refused: [] };

/** What two requests taught that were under way at the same time. */
export function both(a: Dialect, b: Dialect): Dialect {
  const logprobs = a.logprobs === null || b.logprobs === null ? null : a.logprobs || b.logprobs;
  return {
    lists: a.lists && b.lists,
    many: a.many && b.many,
    logprobs,
    refused: [...new Set([...a.refused, ...b.refused])],
  };
}

/** Fields a request can do without: four of vLLM's and SGLang's, and two that not every server takes. */
const optional = ['return_token_ids', 'include_stop_str_in_output', 'cache_salt', 'priority', 'seed', 'top_p'] as const;

/**
 * What a refused request teaches, or null when it could not have been asked otherwise. Servers name the field that they
 * do not know, as `param` or in words.
 */
export function afterRefusal(dialect: Dialect, error: unknown, sent: object): Dialect | null {
  const refusal = badRequest(error);
  if (refusal === null) return null;
  const names = (field: string, words: RegExp) =>
    field in sent &&
    !dialect.refused.includes(field) &&
    (refusal.param == null ? words.test(refusal.message) : refusal.param === field);
  const refused = optional.find((field) => names(field, new RegExp(`\\b${field}\\b`)));
  if (refused !== undefined) return { ...dialect, refused: [...dialect.refused, refused] };
  if (dialect.logprobs !== null && names('logprobs', /\blogprobs\b/)) return { ...dialect, logprobs: null };
  if (dialect.many && names('n', /(^|[\s"'`(])n["'`)]?\s*(=|>|must|should|is |not |other)/))
    return { ...dialect, many: false };
  return null;
}

/** Whether a refusal may be about several prompts in one request. */
export function refusesLists(error: unknown): boolean {
  const refusal = badRequest(error);
  return refusal !== null && /prompt|list|array|batch|string|input/i.test(`${refusal.param} ${refusal.message}`);
}

function badRequest(error: unknown): APIError | null {
  const cause = error instanceof ServiceError ? error.cause : error;
  return cause instanceof APIError && (cause.status === 400 || cause.status === 422) ? cause : null;
}
