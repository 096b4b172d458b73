import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Message } from '../../src/core/problem.ts';
import { createRandom, deriveSeed, type Random } from '../../src/core/seed.ts';
import { readModelFolder, tokenText } from '../../src/services/renderer/model-folder.ts';
import type { Renderer } from '../../src/services/renderer/renderer.ts';

/** What a server can and does. The defaults are vLLM's; `engineServer`, `simpleServer`, `strictServer` are other kinds. */
export interface ServerBehaviour {
  /** Names that `/v1/models` lists and requests may ask for. */
  models: string[];
  /** What `/v1/models` says of a model's longest text; null: nothing. Nothing is refused for it. */
  maxModelLen: number | null;
  /** The bearer token asked for; null: none. */
  apiKey: string | null;
  completions: boolean;
  chat: boolean;
  /** `/tokenize`, as vLLM has it. */
  tokenize: boolean;
  /** Takes token ids as prompts; otherwise a 400. */
  tokenPrompts: boolean;
  /** Several prompts in a request: served, refused with a 400, or only the first one answered. */
  lists: 'served' | 'refused' | 'first';
  /**
   * Names itself as vLLM does, whose prompts of one list all start from the request's seed: equal ones get equal
   * answers. Otherwise a prompt's place in its list is part of its noise, as with the bundled engine.
   */
  isVllm: boolean;
  /** All samples of a request start from its seed, as with SGLang where it obeys seeds. */
  sameSamples: boolean;
  /** Several samples of a prompt: served, ignored (one choice), or refused with a 400. */
  n: 'served' | 'ignored' | 'refused';
  /** Log-probabilities where asked; `above-zero`: only for `logprobs` of at least 1. */
  logprobs: 'served' | 'above-zero' | 'ignored' | 'refused';
  /** `return_token_ids` and token ids in choices. */
  tokenIds: boolean;
  /** A matched stop string: kept where `include_stop_str_in_output` says so, always kept, always removed, or ignored. */
  stops: 'as-asked' | 'kept' | 'removed' | 'ignored';
  /** The field `stop_reason` of a choice. */
  stopReason: boolean;
  /** Whether the end-of-text token is among the token ids. */
  eosInTokens: boolean;
  usage: boolean;
  /** Fields beyond OpenAI's own are refused with a 400. */
  strict: boolean;
  /** `finish_reason` where vLLM says "stop" and "length"; null is a value that servers send too. */
  finishReasons: { eos: string | null; stop: string | null; length: string | null };
  /** Milliseconds before each answer. */
  delayMs: number;
  /** `priority` is taken; otherwise one that is not zero is a 400, as without `--scheduling-policy priority`. */
  priority: boolean;
}

const vllm: ServerBehaviour = {
  models: ['model'],
  maxModelLen: null,
  apiKey: null,
  completions: true,
  chat: true,
  tokenize: true,
  tokenPrompts: true,
  lists: 'served',
  isVllm: true,
  sameSamples: false,
  n: 'served',
  logprobs: 'served',
  tokenIds: true,
  stops: 'as-asked',
  stopReason: true,
  eosInTokens: true,
  usage: true,
  strict: false,
  finishReasons: { eos: 'stop', stop: 'stop', length: 'length' },
  delayMs: 0,
  priority: false,
};

/** Text in, one text out, and nothing about it. */
export const simpleServer: Partial<ServerBehaviour> = {
  tokenize: false,
  tokenPrompts: false,
  lists: 'refused',
  isVllm: false,
  n: 'ignored',
  logprobs: 'ignored',
  tokenIds: false,
  stops: 'removed',
  stopReason: false,
  usage: false,
};

/** All that vLLM does, with noise of its own for each prompt of a list: one request is enough. */
export const engineServer: Partial<ServerBehaviour> = { isVllm: false, tokenize: false };

/** OpenAI's own completions: all that they document, and a 400 for every other field. */
export const strictServer: Partial<ServerBehaviour> = {
  tokenize: false,
  tokenIds: false,
  stops: 'removed',
  stopReason: false,
  isVllm: false,
  strict: true,
};

/**
 * One answer that goes wrong: a refusal; a body that ends in its middle (`cut`), whose connection breaks there
 * (`reset`) or that never ends (`drip`); no answer at all (`hang`); a page for people (`page`); words that are no JSON.
 */
export type Fault =
  | { status: number; retryAfter?: number; message?: string }
  | { cut: true }
  | { reset: true }
  | { drip: true }
  | { hang: true }
  | { page: true }
  | { words: true };

export interface ModelServerOptions {
  /**
   * The rest of a text, to its end; called with the prompt's text, special tokens written out. `random` depends on the
   * seed, the prompt, and the indices of prompt and sample (not on the sample at temperature 0).
   */
  write(prompt: string, random: Random): string;
  /** The served model's tokenizer. */
  renderer: Renderer;
  /** Text as the server tokenizes it (default: without control tokens); `folderTokenizer` is a real server's way. */
  tokenize?: (text: string, begin: boolean) => number[];
  behaviour?: Partial<ServerBehaviour>;
  /** Where a server that was closed stood; otherwise a free port. */
  port?: number;
  /** Routes of its own; undefined: not one of them. May throw a `Refusal`. */
  route?: (request: ServerRequest) => object | string | undefined;
  /** What completions depend on beside the prompt, and what their answer adds. May throw a `Refusal`. */
  weights?: (body: Record<string, unknown>) => { name: string; says?: object };
}

export interface ServerRequest {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: Record<string, unknown>;
}

export interface ModelServer {
  /** Without `/v1`. */
  baseUrl: string;
  /** Every request, in order of arrival. */
  requests: ServerRequest[];
  /** Changes what the server does from now on. */
  behave(change: Partial<ServerBehaviour>): void;
  /** The next requests for samples fail so, one each; earlier plans are forgotten. */
  fail(...faults: Fault[]): void;
  /** Requests whose caller went away before they were answered. */
  abandoned(): number;
  /** Resolves as soon as it holds; looked at whenever a request comes or its caller goes away. */
  until(holds: () => boolean): Promise<void>;
  close(): Promise<void>;
}

/** Control tokens in a text count as such, and `begin` puts the token before it that begins texts. */
export function folderTokenizer(folder: string): (text: string, begin: boolean) => number[] {
  const { tokenizer, config } = readModelFolder(resolve(folder));
  const bos = tokenText(config.bos_token);
  return (text, begin) => tokenizer.encode(begin && bos ? bos + text : text, { add_special_tokens: false }).ids;
}

/** A model server on loopback whose model is a function: for tests of everything that talks to one. */
export async function startModelServer(options: ModelServerOptions): Promise<ModelServer> {
  const { write, renderer, tokenize } = options;
  const does: ServerBehaviour = { ...vllm, ...options.behaviour };
  const requests: ServerRequest[] = [];
  const faults: Fault[] = [];

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    for await (const chunk of request) text += chunk;
    const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
    const path = request.url ?? '';
    requests.push({ method: request.method ?? '', path, headers: request.headers, body });
    look();
    if (does.delayMs > 0) await delay(does.delayMs);
    const fault = path.endsWith('/completions') ? faults.shift() : undefined;
    if (fault !== undefined) return failWith(fault, response);
    try {
      const own = options.route?.({ method: request.method ?? '', path, headers: request.headers, body });
      send(response, 200, own ?? answer(path, request.headers, body));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      send(response, error.status, { error: { message: error.message, param: error.param, type: 'invalid_request' } });
    }
  }

  function answer(path: string, headers: IncomingHttpHeaders, body: Record<string, unknown>): object {
    if (does.apiKey !== null && headers.authorization !== `Bearer ${does.apiKey}`) throw new Refusal(401, 'wrong key');
    if (path === '/v1/models') return { object: 'list', data: does.models.map(listed) };
    if (path === '/v1/completions' && does.completions) return complete(body);
    if (path === '/v1/chat/completions' && does.chat) return chat(body);
    if (path === '/tokenize' && does.tokenize) {
      const tokens = tokensOf(String(body.prompt), body.add_special_tokens !== false);
      return { tokens, count: tokens.length };
    }
    throw new Refusal(404, 'Not Found');
  }

  function listed(id: string): object {
    return { id, object: 'model', ...(does.maxModelLen === null ? {} : { max_model_len: does.maxModelLen }) };
  }

  function complete(body: Record<string, unknown>): object {
    check(body, completionFields);
    const prompts = promptsOf(body.prompt);
    if (prompts.length > 1 && does.lists === 'refused') throw new Refusal(400, 'prompt must be a string', 'prompt');
    const served = does.lists === 'served' ? prompts : prompts.slice(0, 1);
    const choices = served.flatMap(({ text, tokens }, prompt) =>
      samples(body, text, prompt).map((sample) => ({
        text: sample.text,
        logprobs: logprobsAsked(body) ? { token_logprobs: sample.logprobs, tokens: sample.pieces } : null,
        finish_reason: sample.finishReason,
        ...(does.stopReason ? { stop_reason: sample.stopReason } : {}),
        ...(does.tokenIds && body.return_token_ids === true
          ? { token_ids: sample.tokens, prompt_token_ids: tokens }
          : {}),
        completionTokens: sample.tokens.length,
      })),
    );
    const promptTokens = served.reduce((sum, { tokens }) => sum + tokens.length, 0);
    return { ...reply('text_completion', body, choices, promptTokens), ...options.weights?.(body).says };
  }

  function chat(body: Record<string, unknown>): object {
    check(body, chatFields);
    const prompt = renderer.prompt(body.messages as Message[]);
    const choices = samples(body, prompt.text, 0).map((sample) => ({
      message: { role: 'assistant', content: sample.text },
      finish_reason: sample.finishReason,
      completionTokens: sample.tokens.length,
    }));
    return reply('chat.completion', body, choices, prompt.tokens.length);
  }

  function reply(
    object: string,
    body: Record<string, unknown>,
    choices: { completionTokens: number }[],
    promptTokens: number,
  ): object {
    const completionTokens = choices.reduce((sum, choice) => sum + choice.completionTokens, 0);
    return {
      id: `made-${requests.length}`,
      object,
      model: body.model,
      ...(does.isVllm ? { system_fingerprint: 'vllm-0.0-test' } : {}),
      choices: choices.map(({ completionTokens: _count, ...choice }, index) => ({ index, ...choice })),
      ...(does.usage
        ? {
            usage: {
              prompt_tokens: promptTokens,
              completion_tokens: completionTokens,
              total_tokens: promptTokens + completionTokens,
            },
          }
        : {}),
    };
  }

  function check(body: Record<string, unknown>, known: ReadonlySet<string>): void {
    if (!does.models.includes(String(body.model))) throw new Refusal(404, `The model ${body.model} does not exist`);
    if (does.strict) {
      const unknown = Object.keys(body).find((field) => !known.has(field));
      if (unknown !== undefined) throw new Refusal(400, `Unrecognized request argument supplied: ${unknown}`, unknown);
    }
    if (!does.priority && typeof body.priority === 'number' && body.priority !== 0)
      throw new Refusal(400, `Got priority ${body.priority} but Priority scheduling is not enabled.`);
    if (does.n === 'refused' && body.n !== undefined && body.n !== 1) throw new Refusal(400, 'n must be 1', 'n');
    if (does.logprobs === 'refused' && 'logprobs' in body)
      throw new Refusal(400, 'logprobs is not supported', 'logprobs');
  }

  function logprobsAsked(body: Record<string, unknown>): boolean {
    if (does.logprobs === 'served') return body.logprobs !== undefined && body.logprobs !== null;
    return does.logprobs === 'above-zero' && Number(body.logprobs ?? 0) > 0;
  }

  /** Prompts as text and as ids: one or a list, of text or of ids. */
  function promptsOf(prompt: unknown): { text: string; tokens: number[] }[] {
    const many = Array.isArray(prompt) && typeof prompt[0] !== 'number' ? prompt : [prompt];
    return many.map((one: string | number[]) => {
      if (typeof one === 'string') return { text: one, tokens: tokensOf(one, true) };
      if (!does.tokenPrompts) throw new Refusal(400, 'prompt must be a string', 'prompt');
      return { text: renderer.decode(one, { special: true }), tokens: one };
    });
  }

  /** As a server tokenizes text: control tokens in it count as such, and the text's beginning is added. */
  function tokensOf(text: string, begin: boolean): number[] {
    return tokenize?.(text, begin) ?? renderer.encode(text);
  }

  function samples(body: Record<string, unknown>, prompt: string, promptIndex: number) {
    const n = does.n === 'served' ? Number(body.n ?? 1) : 1;
    return Array.from({ length: n }, (_, index) => sample(body, prompt, promptIndex, index));
  }

  function sample(body: Record<string, unknown>, prompt: string, promptIndex: number, index: number) {
    const draw = body.temperature === 0 ? 'greedy' : does.sameSamples ? 0 : index;
    const place = does.isVllm || does.sameSamples ? 0 : promptIndex;
    const weights = options.weights?.(body).name ?? String(body.model);
    const seed = deriveSeed(weights, prompt, Number(body.seed ?? 0), place, draw);
    const whole = [...renderer.encode(write(prompt, createRandom(seed))), renderer.eosToken];
    const limit = Number(body.max_completion_tokens ?? body.max_tokens ?? 16);
    let tokens = whole.slice(0, limit);
    let text = renderer.decode(tokens);
    let [finishReason, stopReason]: [string | null, string | null] =
      tokens.length < whole.length ? [does.finishReasons.length, null] : [does.finishReasons.eos, null];
    const stop = does.stops === 'ignored' ? null : firstStop(text, [body.stop ?? []].flat() as string[]);
    if (stop !== null) {
      // Whole tokens are sampled until the string is complete; the text is cut inside the last of them.
      tokens = tokens.slice(0, tokensUntil(tokens, stop.end));
      const keep = does.stops === 'kept' || (does.stops === 'as-asked' && body.include_stop_str_in_output === true);
      text = text.slice(0, keep ? stop.end : stop.end - stop.text.length);
      [finishReason, stopReason] = [does.finishReasons.stop, stop.text];
    } else if (!does.eosInTokens && tokens.length === whole.length) {
      tokens = tokens.slice(0, -1);
    }
    return {
      text,
      tokens,
      finishReason,
      stopReason,
      logprobs: tokens.map((token) => -(0.05 + 0.15 * (token % 7))),
      pieces: tokens.map((token) => renderer.decode([token])),
    };
  }

  /** How many tokens it takes to write the first `length` characters. */
  function tokensUntil(tokens: number[], length: number): number {
    let [low, high] = [0, tokens.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (renderer.decode(tokens.slice(0, middle)).length >= length) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  function failWith(fault: Fault, response: ServerResponse): void {
    if ('status' in fault) {
      const headers: Record<string, string> =
        fault.retryAfter === undefined ? {} : { 'retry-after': String(fault.retryAfter) };
      return void send(response, fault.status, { error: { message: fault.message ?? 'on demand' } }, headers);
    }
    if ('hang' in fault) return;
    if ('page' in fault) {
      response.writeHead(200, { 'content-type': 'text/html' });
      return void response.end('<html>Please log in</html>');
    }
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
    response.write('words' in fault ? 'So, '.repeat(250) : '{"choices": [');
    if ('cut' in fault) response.socket?.end();
    if ('reset' in fault) setImmediate(() => response.socket?.resetAndDestroy());
  }

  let abandoned = 0;
  const watchers = new Set<() => void>();
  const look = () => {
    for (const watcher of watchers) watcher();
  };
  const server = createServer((request, response) => {
    response.on('close', () => {
      if (!response.writableFinished) abandoned += 1;
      look();
    });
    serve(request, response).catch((error: Error) => send(response, 500, { error: { message: error.stack } }));
  });
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    behave: (change) => void Object.assign(does, change),
    fail: (...list) => void faults.splice(0, Number.POSITIVE_INFINITY, ...list),
    abandoned: () => abandoned,
    until: (holds) =>
      new Promise((resolve) => {
        const watcher = () => {
          if (!holds()) return;
          watchers.delete(watcher);
          resolve();
        };
        watchers.add(watcher);
        watcher();
      }),
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

export class Refusal extends Error {
  readonly status: number;
  readonly param: string | null;
  constructor(status: number, message: string, param: string | null = null) {
    super(message);
    this.status = status;
    this.param = param;
  }
}

const sharedFields = ['model', 'n', 'max_tokens', 'temperature', 'top_p', 'seed', 'stop', 'logprobs', 'stream', 'user'];
const completionFields = new Set([...sharedFields, 'prompt', 'best_of', 'echo', 'suffix', 'logit_bias']);
const chatFields = new Set([...sharedFields, 'messages', 'max_completion_tokens', 'top_logprobs', 'response_format']);

/** The stop string that is complete first. */
function firstStop(text: string, stops: string[]): { text: string; end: number } | null {
  const found = stops.flatMap((stop) => {
    const at = text.indexOf(stop);
    return at === -1 ? [] : [{ text: stop, end: at + stop.length }];
  });
  return found.sort((a, b) => a.end - b.end)[0] ?? null;
}

function send(
  response: ServerResponse,
  status: number,
  json: object | string,
  headers: Record<string, string> = {},
): void {
  const isText = typeof json === 'string';
  response.writeHead(status, { 'content-type': isText ? 'text/plain' : 'application/json', ...headers });
  response.end(isText ? json : JSON.stringify(json));
}
