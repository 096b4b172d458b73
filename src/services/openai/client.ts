import OpenAI from 'openai';
import { saidBy } from '../../core/foreign-text.ts';
import type { ServedCall } from '../../core/ledger/types.ts';
import { type EnvOr, resolveConnection } from '../address.ts';
import { beginningOf, boundedAnswer } from '../bounded-body.ts';

export interface OpenAiConfig {
  baseUrl: EnvOr;
  apiKey?: EnvOr | undefined;
  timeoutMs: number;
  /** Most requests at once to this address, of a whole worker; see `src/core/aimd.ts` for the default. */
  maxConcurrency?: number | undefined;
}

/** A service behind OpenAI's protocol, as errors name it. */
export interface OpenAiService {
  /** `the sampler (policy.sampler)` */
  name: string;
  /** Where its section stands in the configuration. */
  path: string;
  /** Where the configuration names the model that is asked for, if it does. */
  namesModel?: string;
}

/**
 * A client for one call, at the address of this moment. Retrying is left to the caller, who knows what an attempt
 * costs.
 */
export function connectOpenAi(config: OpenAiConfig, env: NodeJS.ProcessEnv, service: OpenAiService) {
  const { baseUrl, apiKey } = resolveConnection(config, env, service.path);
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
    fetch: fetchWithReasons(apiKey),
  });
  return { client, root };
}

/** Headers by which a service can keep a journal of calls, and put its spans into our trace. */
export function callHeaders(call: {
  callId: string;
  attempt: number;
  activity?: string;
  trace?: Record<string, string>;
}): Record<string, string> {
  return {
    ...call.trace,
    'x-astroflow-call': call.callId,
    'x-astroflow-attempt': String(call.attempt),
    ...(call.activity !== undefined && { 'x-astroflow-activity': call.activity }),
  };
}

/**
 * Usage of the calls whose id starts with a prefix, from a service that keeps a journal; null where none answers.
 * @throws whatever the client throws, other than "not found"
 */
export async function readJournal(
  { client, root }: Pick<ReturnType<typeof connectOpenAi>, 'client' | 'root'>,
  callPrefix: string,
  signal: AbortSignal,
): Promise<{ calls: number; tokens: number } | null> {
  const path = `${root}/astroflow/usage?prefix=${encodeURIComponent(callPrefix)}`;
  try {
    const usage = (await client.get(path, { signal: AbortSignal.any([signal]) })) as Record<string, unknown>;
    const { calls, completion_tokens: tokens } = usage;
    return typeof calls === 'number' && typeof tokens === 'number' ? { calls, tokens } : null;
  } catch (error) {
    if (hasNoSuchPath(error)) return null;
    throw error;
  }
}

interface CallsPage {
  calls: {
    call: string;
    activity: string;
    attempt: number;
    prompt_tokens: number;
    completion_tokens: number;
    delivered: boolean;
  }[];
  /** Where the next page starts; null at the end. */
  next: number | null;
}

/**
 * Every serving of the calls whose id starts with a prefix, in the order served; null where no journal answers.
 * @throws whatever the client throws, other than "not found"
 */
export async function readCalls(
  { client, root }: Pick<ReturnType<typeof connectOpenAi>, 'client' | 'root'>,
  callPrefix: string,
  signal: AbortSignal,
): Promise<ServedCall[] | null> {
  const served: ServedCall[] = [];
  const path = `${root}/astroflow/calls?prefix=${encodeURIComponent(callPrefix)}`;
  try {
    for (let after: number | null = 0; after !== null; ) {
      const options = { signal: AbortSignal.any([signal]) };
      const page = (await client.get(`${path}&after=${after}`, options)) as Partial<CallsPage> | null;
      // Some servers answer every path, with a page for people.
      if (!Array.isArray(page?.calls)) return null;
      for (const { call: id, prompt_tokens: promptTokens, completion_tokens: completionTokens, ...by } of page.calls)
        served.push({ id, ...by, promptTokens, completionTokens });
      after = page.next ?? null;
    }
    return served;
  } catch (error) {
    if (hasNoSuchPath(error)) return null;
    throw error;
  }
}

function hasNoSuchPath(error: unknown): boolean {
  return error instanceof OpenAI.APIError && (error.status === 404 || error.status === 405);
}

/**
 * A redirect is not followed: where the key goes is the configuration's to say. The client only reads `{error}`, so a
 * refusal worded otherwise (`{detail}`, `{message}`, …) is put that way; it is shown without the key, should the server
 * repeat what it was sent.
 */
function fetchWithReasons(key: string | undefined) {
  return async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const response = await fetch(input, { ...init, redirect: 'manual' });
    if (response.ok) return boundedAnswer(response);
    const { status, headers } = response;
    const text = await beginningOf(response);
    const said = status >= 300 && status < 400 ? { message: redirected(headers.get('location')) } : reasonIn(text);
    const error = { ...said, message: saidBy(said.message, key) };
    const body = error.message === '' ? null : JSON.stringify({ error });
    return new Response(body, { status, headers: bodyless(headers) });
  };
}

function redirected(location: string | null): string {
  const to = location !== null && URL.canParse(location) ? ` to ${new URL(location).origin}` : '';
  return `it redirects${to}, which is not followed: write the address that answers into the configuration`;
}

/** `{error: {message, param}}` (OpenAI), `{error}`, `{detail}`, `{message}`, `{error_message}`, or a text for people. */
function reasonIn(text: string): { message: string; param?: string } {
  const json = parsed(text);
  if (!isObject(json)) return { message: text };
  const { error, detail, message, error_message: other } = json;
  const said = (isObject(error) ? error.message : error) ?? detail ?? message ?? other ?? json;
  return {
    message: typeof said === 'string' ? said : JSON.stringify(said),
    ...(isObject(error) && typeof error.param === 'string' && { param: error.param.slice(0, 100) }),
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** Length and encoding were the body's that has been read. */
function bodyless(headers: Headers): Headers {
  const kept = new Headers(headers);
  for (const name of ['content-length', 'content-encoding', 'transfer-encoding']) kept.delete(name);
  return kept;
}
