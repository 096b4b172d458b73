import { deriveSeed } from '../../core/seed.ts';
import { ServiceError } from '../errors.ts';
import { createGates, type Gates } from '../gate.ts';
import { limiter } from '../limit.ts';
import { callHeaders, connectOpenAi, type OpenAiConfig, readCalls, readJournal } from '../openai/client.ts';
import { stopReasonOf } from '../openai/finish-reason.ts';
import { PARALLEL, patiently, realSleep, type Sleep } from '../openai/patience.ts';
import { within } from '../openai/within.ts';
import { afterRefusal, both, type Dialect, fluent } from '../sampler/openai-dialect.ts';
import type { TextAnswer, TextModel, TextRequest } from './text-model.ts';

export interface OpenAiChatConfig extends OpenAiConfig {
  model: string;
}

interface Choice {
  message?: { content?: string | null };
  finish_reason?: string | null;
}

interface ChatAnswer {
  choices?: Choice[];
  usage?: { prompt_tokens?: number | null; completion_tokens?: number | null } | null;
}

/**
 * A model behind `/v1/chat/completions`: messages in, texts out. Where the server does not give several answers to one
 * request, further requests ask for the rest. Retrying is left to the caller, except inside a call of several requests.
 */
export function openaiChatModel(
  config: OpenAiChatConfig,
  env: NodeJS.ProcessEnv,
  { gates = createGates(), sleep = realSleep }: { gates?: Gates; sleep?: Sleep } = {},
): TextModel {
  const path = 'roles.*.model';
  const of = { name: `the model ${config.model} (roles)`, path, namesModel: `${path}.model` };
  /** What the server was seen to take; its own limit on tokens has two names. */
  let dialect: Dialect = fluent;
  let lastRoot: string | null = null;

  async function post(request: TextRequest, n: number, callId: string, seed: number, signal: AbortSignal) {
    const { client, root } = connectOpenAi(config, env, of);
    const gate = gates(root, config.maxConcurrency);
    lastRoot = root;
    for (;;) {
      const used = dialect;
      const body = toBody(config.model, request, n, seed, used);
      const headers = callHeaders({ ...request, callId });
      const exchange = { root, of, timeoutMs: config.timeoutMs, caller: signal };
      const send = () =>
        within(exchange, (until) => client.chat.completions.create(body as never, { signal: until, headers }));
      try {
        return (await gate.run(send, signal, config.timeoutMs)) as unknown as ChatAnswer;
      } catch (error) {
        const learned = afterRefusal(used, error, body) ?? otherLimit(used, error);
        if (learned === null) throw error;
        dialect = both(dialect, learned);
      }
    }
  }

  async function ask(request: TextRequest, signal: AbortSignal): Promise<TextAnswer> {
    const { n, callId, seed } = request;
    const limited = limiter(PARALLEL);
    const answers: ChatAnswer[] = [];
    /** Answers `index` and following, at most `count`. */
    const part = async (index: number, count: number): Promise<Choice[]> => {
      const send = () =>
        index === 0
          ? post(request, count, callId, seed, signal)
          : post(request, count, `${callId}/more-${index}`, deriveSeed(seed, 'more', index), signal);
      const answer = await limited(() => (index === 0 ? send() : patiently(send, sleep, signal)));
      answers.push(answer);
      const choices = answer.choices ?? [];
      if (choices.length === 0)
        throw new ServiceError('retryable', `${of.name} answered without any choice`, { service: of.name });
      if (choices.length === 1 && count > 1) dialect = { ...dialect, many: false };
      return choices.slice(0, count);
    };

    let choices = await part(0, n);
    while (choices.length < n) {
      const have = choices.length;
      const rest = dialect.many
        ? [await part(have, n - have)]
        : await Promise.all(Array.from({ length: n - have }, (_, more) => part(have + more, 1)));
      choices = [...choices, ...rest.flat()];
    }
    const texts = choices.map((choice) => toText(choice, of.name));
    return { texts, usage: usageOf(answers, request, texts) };
  }

  return {
    name: config.model,
    load: () => (lastRoot === null ? null : gates(lastRoot).load()),
    async ask(request, signal) {
      signal.throwIfAborted();
      return ask(request, signal);
    },
    async journal(callPrefix, caller) {
      const connection = connectOpenAi(config, env, of);
      const exchange = { root: connection.root, of, timeoutMs: config.timeoutMs, caller };
      return within(exchange, (signal) => readCalls(connection, callPrefix, signal));
    },
    async served(callPrefix, caller) {
      const connection = connectOpenAi(config, env, of);
      const exchange = { root: connection.root, of, timeoutMs: config.timeoutMs, caller };
      return within(exchange, (signal) => readJournal(connection, callPrefix, signal));
    },
  };
}

function toBody(model: string, request: TextRequest, n: number, seed: number, dialect: Dialect): object {
  const body: Record<string, unknown> = {
    model,
    messages: request.messages,
    ...(dialect.many ? { n } : {}),
    max_tokens: request.maxTokens,
    temperature: request.temperature,
    top_p: 1,
    seed,
  };
  if (dialect.refused.includes('max_tokens')) body.max_completion_tokens = request.maxTokens;
  for (const field of dialect.refused) delete body[field];
  return body;
}

/** OpenAI's newer models take the limit under its new name only, and say so. */
function otherLimit(dialect: Dialect, error: unknown): Dialect | null {
  const says = error instanceof ServiceError && error.status === 400 && /max_completion_tokens/.test(error.message);
  return says && !dialect.refused.includes('max_tokens')
    ? { ...dialect, refused: [...dialect.refused, 'max_tokens'] }
    : null;
}

/** A filtered answer is an empty one: asking again would filter it again. */
function toText({ message, finish_reason: said }: Choice, service: string): TextAnswer['texts'][number] {
  if (said === 'content_filter') return { text: '', stopReason: 'stop' };
  const stopReason = stopReasonOf(said, () => false);
  if (stopReason !== null) return { text: message?.content ?? '', stopReason };
  const problem = `${service} ended an answer with ${JSON.stringify(said)}, so it is not a whole one`;
  throw new ServiceError('retryable', problem, { service });
}

/** Characters of English text that make a token, where a server does not count: an estimate, for the accounts only. */
const CHARACTERS_PER_TOKEN = 4;

function usageOf(
  answers: readonly ChatAnswer[],
  request: TextRequest,
  texts: TextAnswer['texts'],
): TextAnswer['usage'] {
  const counted = (
    count: (usage: NonNullable<ChatAnswer['usage']>) => number | null | undefined,
    characters: number,
  ) => {
    const counts = answers.map(({ usage }) => (usage ? count(usage) : null) ?? null);
    const total = counts.reduce((sum, one) => (sum === null || one === null ? null : sum + one), 0 as number | null);
    return total ?? Math.ceil(characters / CHARACTERS_PER_TOKEN);
  };
  const length = (list: readonly string[]) => list.reduce((sum, text) => sum + text.length, 0);
  const asked = length(request.messages.map(({ content }) => content)) * answers.length;
  return {
    calls: answers.length,
    promptTokens: counted(({ prompt_tokens }) => prompt_tokens, asked),
    completionTokens: counted(({ completion_tokens }) => completion_tokens, length(texts.map(({ text }) => text))),
  };
}
