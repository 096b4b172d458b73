import type { ServedCall } from '../../core/ledger/types.ts';
import { ServiceError } from '../errors.ts';
import { createGates, type Gates } from '../gate.ts';
import { readCalls, readJournal } from '../openai/client.ts';
import { realSleep, type Sleep } from '../openai/patience.ts';
import { within } from '../openai/within.ts';
import type { PoolConfig } from '../pool/endpoints.ts';
import { fromEach } from '../pool/journals.ts';
import { createPool } from '../pool/pool.ts';
import type { Server } from '../pool/server.ts';
import { namedVersions, type Versions } from '../pool/versions.ts';
import type { Renderer } from '../renderer/renderer.ts';
import { cutAtStop } from './cut-at-stop.ts';
import { collect } from './openai-calls.ts';
import { fluent } from './openai-dialect.ts';
import { type Known, openRequests } from './openai-requests.ts';
import { type Choice, type PromptForm, toRaw } from './openai-wire.ts';
import type { Priority } from './priority.ts';
import type { Completion, SampleRequest, SampleResult, Sampler } from './sampler.ts';

export interface OpenAiSamplerConfig extends PoolConfig {
  /** What is sent: token ids, or text to servers that take and give only text. */
  prompts: PromptForm;
  priority?: Priority | undefined;
}

export interface OpenAiSamplerHooks {
  /** Told once what a server lacks and what is done instead. */
  warn?: (message: string) => void;
  /** Shared by all that this process sends to a service. */
  gates?: Gates;
  /** The model that the configuration names: a server without it cannot get it back, one without a version can. */
  base?: string;
  /** How versions reach servers, where they are published to them. */
  versions?: Versions;
  /** Injectable for tests. */
  sleep?: Sleep;
  now?: () => number;
}

const of = { name: 'the sampler (policy.sampler)', path: 'policy.sampler' };
const service = of.name;

/**
 * A sampler behind `/v1/completions`: with token ids in and out, as vLLM, SGLang and the bundled engine serve it, in one
 * request; with simpler servers in as many requests as they need (`openai-calls.ts`), and with less (`Dialect`). One
 * server, or several of one kind (`../pool`). What it has learned about them it keeps until the addresses change.
 * Retrying is left to the caller, who knows what an attempt costs, except inside a call of several requests and from one
 * server to the next.
 */
export function openaiSampler(
  config: OpenAiSamplerConfig,
  env: NodeJS.ProcessEnv,
  renderer: Renderer,
  hooks: OpenAiSamplerHooks = {},
): Sampler {
  const { warn = console.warn, base, sleep = realSleep, now = Date.now, versions = namedVersions } = hooks;
  const gates = hooks.gates ?? createGates(warn);
  const { timeoutMs, priority } = config;
  const form = { prompts: config.prompts, bos: renderer.bos };
  const pool = createPool(config, env, { of, gates, versions, warn, now });
  let state: Known = { roots: '', dialect: fluent, said: new Set() };

  function known(): Known {
    const roots = pool
      .servers()
      .map(({ root }) => root)
      .join(', ');
    if (state.roots !== roots) state = { roots, dialect: fluent, said: new Set() };
    return state;
  }

  function warnOnce(message: string): void {
    if (state.said.has(message)) return;
    state.said.add(message);
    warn(message);
  }

  const sayOnce = (message: string) => warnOnce(`${service} at ${state.roots} ${message}`);

  async function sample(request: SampleRequest, caller: AbortSignal): Promise<SampleResult> {
    const options = { of, pool, versions, form, timeoutMs, priority, base, known, sayOnce, sleep, now };
    const { calls, answered, engine, giveUp } = openRequests(request, options, caller);
    const collected = await collect(request, calls).catch((error) => {
      giveUp();
      throw error;
    });
    const raw = collected.choices.map((list) =>
      list.map((choice) => toRaw(choice, request, config.prompts, renderer, service)),
    );
    if (config.prompts === 'tokens' && raw.flat().some(({ tokens }) => tokens === null)) {
      if (request.logprobs === 'required') throw lacks('token ids (return_token_ids)');
      sayOnce(
        'answers without token ids: tokens are encoded from the text, and reinforcement learning will be refused',
      );
    }
    const bare = request.logprobs && raw.flat().some(({ logprobs }) => logprobs === null);
    if (bare && request.logprobs === 'required') throw lacks('log-probabilities of the sampled tokens (logprobs)');
    if (bare) sayOnce('answers without log-probabilities: the search takes all next steps for equally likely at first');
    const wanted = bare ? { ...request, logprobs: false as const } : request;
    const completions = raw.map((list, prompt) =>
      list.map((one, index) => by(cutAtStop(one, wanted, renderer), collected.choices[prompt]?.[index])),
    );
    return {
      completions,
      calls: answered(),
      promptTokens: collected.promptTokens ?? sum(request.prompts),
      completionTokens: collected.completionTokens ?? sum(completions.flat()),
      ...(engine() !== null && { engine: engine() as string }),
    };
  }

  /** One exchange with each server. */
  const each = <T>(talk: (server: Server, signal: AbortSignal) => Promise<T | null>, caller: AbortSignal) =>
    fromEach(
      pool.servers(),
      (server) => within({ root: server.root, of, timeoutMs, caller }, (signal) => talk(server, signal)),
      warnOnce,
    );

  return {
    async sample(request, signal) {
      signal.throwIfAborted();
      if (request.logprobs === 'required' && config.prompts === 'text') {
        const message =
          `${service} sends text (policy.sampler.prompts), so nobody knows which tokens were sampled: reinforcement ` +
          'learning needs a server with token ids; without one set policy.trainer to null';
        throw new ServiceError('fatal', message, { service });
      }
      return sample(request, signal);
    },

    load: () => pool.load(),

    confirm: (version, signal) => pool.confirm(version, signal),

    async journal(callPrefix, caller): Promise<ServedCall[] | null> {
      const lists = await each((server, signal) => readCalls(server, callPrefix, signal), caller);
      return lists?.flat() ?? null;
    },

    async served(callPrefix, caller) {
      const sums = await each((server, signal) => readJournal(server, callPrefix, signal), caller);
      const start = { calls: 0, tokens: 0 };
      return sums?.reduce((a, b) => ({ calls: a.calls + b.calls, tokens: a.tokens + b.tokens }), start) ?? null;
    },
  };
}

function by(completion: Completion, choice: Choice | undefined): Completion {
  return choice?.servedBy === undefined ? completion : { ...completion, servedBy: choice.servedBy };
}

function sum(of: readonly { tokens: readonly number[] }[]): number {
  return of.reduce((total, { tokens }) => total + tokens.length, 0);
}

function lacks(what: string): ServiceError {
  const message =
    `${service} answers without ${what}, which reinforcement learning needs: use the bundled engine, vLLM or SGLang, ` +
    'or set policy.trainer to null';
  return new ServiceError('fatal', message, { service });
}
