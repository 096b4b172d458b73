import { sha256Hex } from '../../core/key.ts';
import { ServiceError } from '../errors.ts';
import { limiter } from '../limit.ts';
import { callHeaders, type OpenAiService } from '../openai/client.ts';
import { PARALLEL, patiently, type Sleep } from '../openai/patience.ts';
import { within } from '../openai/within.ts';
import type { Pool } from '../pool/pool.ts';
import type { Server } from '../pool/server.ts';
import type { Versions } from '../pool/versions.ts';
import type { Ask, Calls } from './openai-calls.ts';
import { afterRefusal, both, type Dialect } from './openai-dialect.ts';
import { type Choice, logprobsOf, type PromptForm, toBody, type WireAnswer, weightsOf } from './openai-wire.ts';
import { type Priority, priorityOf } from './priority.ts';
import type { Prompt, SampleRequest } from './sampler.ts';

/** What a sampler has learned of its servers, all of one kind: kept until their addresses change. */
export interface Known {
  roots: string;
  dialect: Dialect;
  said: Set<string>;
}

export interface RequestsOptions {
  of: OpenAiService;
  pool: Pool;
  versions: Versions;
  form: { prompts: PromptForm; bos: string | null };
  timeoutMs: number;
  priority: Priority | undefined;
  /** The model that the configuration names: a server without it cannot get it back, one without a version can. */
  base: string | undefined;
  known(): Known;
  sayOnce(message: string): void;
  sleep: Sleep;
  now(): number;
}

/** One call's requests to the servers. */
export function openRequests(request: SampleRequest, options: RequestsOptions, caller: AbortSignal) {
  const { of, pool, versions, form, timeoutMs, priority, base, known, sayOnce, sleep, now } = options;
  const others = new AbortController();
  const signal = AbortSignal.any([caller, others.signal]);
  const limited = limiter(PARALLEL);
  const begunAtMs = now();
  const isAlone = pool.servers().length === 1;
  let answered = 0;
  let engine: string | null = null;

  function bodyOf(ask: Ask, dialect: Dialect): Record<string, unknown> {
    const fields = {
      ...versions.fields(request.model),
      ...(priority !== undefined && { priority: priorityOf(priority, request, ask.prompts, begunAtMs) }),
    };
    return toBody(request, ask, form, dialect, fields);
  }

  /** A server's answer to one request, each choice marked with who gave it. */
  async function post(ask: Ask, dialect: Dialect): Promise<WireAnswer> {
    const body = bodyOf(ask, dialect);
    const asked = { version: request.model, affinity: () => request.affinity ?? affinityOf(ask.prompts) };
    const answer = await pool.run(asked, (server, tries) => send(server, ask.callId, tries, body), signal);
    answered += 1;
    engine = answer.system_fingerprint ?? engine;
    return answer;
  }

  async function send(server: Server, id: string, tries: number, body: object): Promise<WireAnswer> {
    const { client, root, name } = server;
    const exchange = { root, of: ofModel(), timeoutMs, caller, signal };
    // A journal must be able to tell the answer that arrived from one that was lost on its way.
    const headers = callHeaders({ ...request, callId: tries === 0 ? id : `${id}/again-${tries}` });
    // The body has fields that the client's types do not know; it sends them as they are.
    const answer = (await within(exchange, (until) =>
      client.completions.create(body as never, { signal: until, headers }),
    )) as unknown as WireAnswer;
    const weights = weightsOf(answer);
    if (weights !== undefined && !versions.isFrom(request.model, weights)) {
      const message = `${of.name} at ${root} answered with the weights ${weights}, not with ${request.model}`;
      throw new ServiceError('lost', message, { service: of.name });
    }
    if (isAlone && weights === undefined) return answer;
    const servedBy = { ...(!isAlone && { endpoint: name }), ...(weights !== undefined && { weights }) };
    return { ...answer, choices: answer.choices?.map((choice) => ({ ...choice, servedBy })) };
  }

  const ofModel = () => (request.model === base ? { ...of, namesModel: 'policy.base' } : of);

  /** Asks again as long as a refusal or an answer teaches how to. */
  async function understood(ask: Ask): Promise<WireAnswer> {
    const state = known();
    for (let callId = ask.callId; ; ) {
      const { dialect } = state;
      try {
        const answer = await post({ ...ask, callId }, dialect);
        if (!lacksLogprobs(answer.choices ?? [], request, dialect)) return answer;
        state.dialect = both(state.dialect, { ...dialect, logprobs: dialect.logprobs === 0 ? 1 : null });
        if (state.dialect.logprobs === null) return answer;
        callId = `${ask.callId}/logprobs`;
      } catch (error) {
        const learned = afterRefusal(dialect, error, bodyOf(ask, dialect));
        if (learned === null) throw error;
        for (const field of learned.refused.filter((field) => !dialect.refused.includes(field))) {
          sayOnce(`refuses the field ${field}: it is left out`);
        }
        state.dialect = both(state.dialect, learned);
      }
    }
  }

  const calls: Calls = {
    send: (ask) =>
      limited(() =>
        ask.callId === request.callId ? understood(ask) : patiently(() => understood(ask), sleep, signal),
      ),
    dialect: () => known().dialect,
    learn: (dialect) => {
      known().dialect = dialect;
    },
    service: of.name,
  };
  return { calls, answered: () => answered, engine: () => engine, giveUp: () => others.abort() };
}

/** Prompts that begin alike differ soon enough; samples of one prompt belong together. */
function affinityOf(prompts: readonly Prompt[]): string {
  return sha256Hex(prompts.map(({ tokens, text }) => (tokens.length > 0 ? tokens.join() : text)).join(';'));
}

/** Asked for, and missing everywhere. */
function lacksLogprobs(choices: Choice[], request: SampleRequest, dialect: Dialect): boolean {
  if (!request.logprobs || dialect.logprobs === null) return false;
  return choices.length > 0 && choices.every((choice) => logprobsOf(choice) === null);
}
