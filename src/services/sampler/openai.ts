import { ServiceError } from '../errors.ts';
import { createGates, type Gates } from '../gate.ts';
import { limiter } from '../limit.ts';
import { callHeaders, connectOpenAi, type OpenAiConfig, readCalls, readJournal } from '../openai/client.ts';
import { PARALLEL, patiently, realSleep, type Sleep } from '../openai/patience.ts';
import { within } from '../openai/within.ts';
import type { Renderer } from '../renderer/renderer.ts';
import { cutAtStop } from './cut-at-stop.ts';
import { type Ask, type Calls, collect } from './openai-calls.ts';
import { afterRefusal, both, type Dialect, fluent } from './openai-dialect.ts';
import { type Choice, logprobsOf, type PromptForm, toBody, toRaw, type WireAnswer } from './openai-wire.ts';
import type { SampleRequest, SampleResult, Sampler } from './sampler.ts';

export interface OpenAiSamplerConfig extends OpenAiConfig {
  /** What is sent: token ids, or text to servers that take and give only text. */
  prompts: PromptForm;
}

export interface OpenAiSamplerHooks {
  /** Told once what a server lacks and what is done instead. */
  warn?: (message: string) => void;
  /** Shared by all that this process sends to a service. */
  gates?: Gates;
  /** The model that the configuration names: a server without it cannot get it back, one without a version can. */
  base?: string;
  /** Injectable for tests. */
  sleep?: Sleep;
}

const of = { name: 'the sampler (policy.sampler)', path: 'policy.sampler' };
const service = of.name;

/**
 * A sampler behind `/v1/completions`: with token ids in and out, as vLLM and the bundled engine serve it, in one
 * request; with simpler servers in as many requests as they need (`openai-calls.ts`), and with less (`Dialect`).
 * What it has learned about a server it keeps until the address changes. Retrying is left to the caller, who knows what
 * an attempt costs, except inside a call of several requests.
 */
export function openaiSampler(
  config: OpenAiSamplerConfig,
  env: NodeJS.ProcessEnv,
  renderer: Renderer,
  { warn = console.warn, gates = createGates(warn), base, sleep = realSleep }: OpenAiSamplerHooks = {},
): Sampler {
  const form = { prompts: config.prompts, bos: renderer.bos };
  let known: { root: string; dialect: Dialect; said: Set<string> } = { root: '', dialect: fluent, said: new Set() };

  function connect() {
    const connection = connectOpenAi(config, env, of);
    if (known.root !== connection.root) known = { root: connection.root, dialect: fluent, said: new Set() };
    return connection;
  }

  const serviceOf = ({ model }: SampleRequest) => (model === base ? { ...of, namesModel: 'policy.base' } : of);

  function sayOnce(message: string): void {
    if (known.said.has(message)) return;
    known.said.add(message);
    warn(`${service} at ${known.root} ${message}`);
  }

  /** One call's requests to the server. */
  function open(request: SampleRequest, caller: AbortSignal) {
    const { client, root } = connect();
    const others = new AbortController();
    const signal = AbortSignal.any([caller, others.signal]);
    const gate = gates(root, config.maxConcurrency);
    const limited = limiter(PARALLEL);
    let answered = 0;
    let engine: string | null = null;

    async function post({ callId, ...ask }: Ask, dialect: Dialect): Promise<WireAnswer> {
      const body = toBody(request, ask, form, dialect);
      const headers = callHeaders({ ...request, callId });
      const exchange = { root, of: serviceOf(request), timeoutMs: config.timeoutMs, caller, signal };
      // The body has fields that the client's types do not know; it sends them as they are.
      const send = () =>
        within(exchange, (until) => client.completions.create(body as never, { signal: until, headers }));
      const answer = (await gate.run(send, signal, config.timeoutMs)) as unknown as WireAnswer;
      answered += 1;
      engine = answer.system_fingerprint ?? engine;
      return answer;
    }

    /** Asks again as long as a refusal or an answer teaches how to. */
    async function understood(ask: Ask): Promise<WireAnswer> {
      for (let callId = ask.callId; ; ) {
        const { dialect } = known;
        try {
          const answer = await post({ ...ask, callId }, dialect);
          if (!lacksLogprobs(answer.choices ?? [], request, dialect)) return answer;
          known.dialect = both(known.dialect, { ...dialect, logprobs: dialect.logprobs === 0 ? 1 : null });
          if (known.dialect.logprobs === null) return answer;
          callId = `${ask.callId}/logprobs`;
        } catch (error) {
          const learned = afterRefusal(dialect, error, toBody(request, ask, form, dialect));
          if (learned === null) throw error;
          for (const field of learned.refused.filter((field) => !dialect.refused.includes(field))) {
            sayOnce(`refuses the field ${field}: it is left out`);
          }
          known.dialect = both(known.dialect, learned);
        }
      }
    }

    const calls: Calls = {
      send: (ask) =>
        limited(() =>
          ask.callId === request.callId ? understood(ask) : patiently(() => understood(ask), sleep, signal),
        ),
      dialect: () => known.dialect,
      learn: (dialect) => {
        known.dialect = dialect;
      },
      service,
    };
    return { calls, answered: () => answered, engine: () => engine, giveUp: () => others.abort() };
  }

  async function sample(request: SampleRequest, caller: AbortSignal): Promise<SampleResult> {
    const { calls, answered, engine, giveUp } = open(request, caller);
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
    const completions = raw.map((list) => list.map((one) => cutAtStop(one, wanted, renderer)));
    return {
      completions,
      calls: answered(),
      promptTokens: collected.promptTokens ?? sum(request.prompts),
      completionTokens: collected.completionTokens ?? sum(completions.flat()),
      ...(engine() !== null && { engine: engine() as string }),
    };
  }

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

    load: () => (known.root === '' ? null : gates(known.root).load()),

    async confirm(model, caller) {
      const { client, root } = connect();
      const isServed = await within({ root, of, timeoutMs: config.timeoutMs, caller }, async (signal) => {
        // The list, not one model: not every server answers for a single name.
        for await (const served of client.models.list({ signal })) {
          if (served.id === model) return true;
        }
        return false;
      });
      if (isServed) return;
      throw new ServiceError('lost', `${service} at ${root} does not serve the model ${model}`, { service });
    },

    async journal(callPrefix, caller) {
      const connection = connect();
      const exchange = { root: connection.root, of, timeoutMs: config.timeoutMs, caller };
      return within(exchange, (signal) => readCalls(connection, callPrefix, signal));
    },

    async served(callPrefix, caller) {
      const connection = connect();
      const exchange = { root: connection.root, of, timeoutMs: config.timeoutMs, caller };
      return within(exchange, (signal) => readJournal(connection, callPrefix, signal));
    },
  };
}

/** Asked for, and missing everywhere. */
function lacksLogprobs(choices: Choice[], request: SampleRequest, dialect: Dialect): boolean {
  if (!request.logprobs || dialect.logprobs === null) return false;
  return choices.length > 0 && choices.every((choice) => logprobsOf(choice) === null);
}

function sum(of: readonly { tokens: readonly number[] }[]): number {
  return of.reduce((total, { tokens }) => total + tokens.length, 0);
}

function lacks(what: string): ServiceError {
  const message =
    `${service} answers without ${what}, which reinforcement learning needs: use the bundled engine or vLLM, or set ` +
    'policy.trainer to null';
  return new ServiceError('fatal', message, { service });
}
