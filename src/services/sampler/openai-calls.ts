import { deriveSeed } from '../../core/seed.ts';
import { ServiceError } from '../errors.ts';
import { type Dialect, refusesLists } from './openai-dialect.ts';
import type { Choice, WireAnswer } from './openai-wire.ts';
import type { Prompt, SampleRequest } from './sampler.ts';

/** One HTTP request: some prompts of a call, n samples of each. */
export interface Ask {
  prompts: readonly Prompt[];
  n: number;
  callId: string;
  seed: number;
}

export interface Calls {
  /** Sends one request; what an answer teaches is in `dialect()` afterwards. */
  send(ask: Ask): Promise<WireAnswer>;
  dialect(): Dialect;
  learn(dialect: Dialect): void;
  service: string;
}

/** Choices of each prompt, n of each, and what they cost where the server says so. */
export interface Collected {
  choices: Choice[][];
  /** Null: at least one answer did not say. */
  promptTokens: number | null;
  completionTokens: number | null;
}

/**
 * All samples of a request in as few calls as the server can do: one where it takes lists and `n`, else one for each
 * prompt or one for each sample. Samples of further calls have seeds and call ids of their own, which depend only on
 * where they stand: what is sampled does not depend on what was known before.
 */
export async function collect(request: SampleRequest, calls: Calls): Promise<Collected> {
  if (!calls.dialect().lists) return collectEach(request, calls);
  const { prompts, n, callId, seed } = request;
  try {
    return await fill({ prompts, n, callId, seed }, calls);
  } catch (error) {
    const refused = !(error instanceof NoLists);
    if (refused && !refusesLists(error)) throw error;
    calls.learn({ ...calls.dialect(), lists: false });
    try {
      return await collectEach(request, calls);
    } catch (again) {
      // Refused alone too: it was not about the list.
      if (refused && refusesLists(again)) calls.learn({ ...calls.dialect(), lists: true });
      throw again;
    }
  }
}

async function collectEach({ prompts, n, callId, seed }: SampleRequest, calls: Calls): Promise<Collected> {
  const alone = prompts.length === 1;
  const each = await Promise.all(
    prompts.map((prompt, at) =>
      fill(
        {
          prompts: [prompt],
          n,
          callId: alone ? callId : `${callId}/prompt-${at}`,
          seed: alone ? seed : deriveSeed(seed, 'prompt', at),
        },
        calls,
      ),
    ),
  );
  return {
    choices: each.flatMap(({ choices }) => choices),
    promptTokens: total(each.map(({ promptTokens }) => promptTokens)),
    completionTokens: total(each.map(({ completionTokens }) => completionTokens)),
  };
}

/** n samples of each prompt of an ask: a first request, and further ones for what the server left out. */
async function fill(ask: Ask, calls: Calls): Promise<Collected> {
  const { prompts, n } = ask;
  const answers: WireAnswer[] = [];
  /** Samples `index` and following, at most `count` of each prompt. */
  const part = async (index: number, count: number): Promise<Choice[][]> => {
    const place =
      index === 0 ? {} : { callId: `${ask.callId}/more-${index}`, seed: deriveSeed(ask.seed, 'more', index) };
    const answer = await calls.send({ ...ask, n: count, ...place });
    answers.push(answer);
    return divide(answer, prompts, count, calls);
  };

  let choices = await part(0, n);
  for (let have = choices[0]?.length ?? n; have < n; have = choices[0]?.length ?? n) {
    const parts = calls.dialect().many
      ? [await part(have, n - have)]
      : await Promise.all(Array.from({ length: n - have }, (_, more) => part(have + more, 1)));
    choices = choices.map((list, prompt) => [...list, ...parts.flatMap((lists) => lists[prompt] ?? [])]);
  }
  return {
    choices,
    promptTokens: total(answers.map(({ usage }) => usage?.prompt_tokens ?? null)),
    completionTokens: total(answers.map(({ usage }) => usage?.completion_tokens ?? null)),
  };
}

/** The server did something else than answer each prompt of a list with noise of its own. */
class NoLists extends Error {}

/**
 * vLLM, llama.cpp and SGLang start every prompt of a list from the request's seed: equal prompts get equal answers, and
 * all answers begin alike, which is worth less to a search and makes scores look more certain than they are. Each prompt
 * then needs a request, and a seed, of its own.
 */
export function sharesNoise(answer: WireAnswer): boolean {
  const { system_fingerprint: fingerprint, choices } = answer;
  if (repeatsSamples(answer) || /^(vllm|b\d+-)/i.test(fingerprint ?? '')) return true;
  return (choices ?? []).some((choice) => 'prompt_logprobs' in choice);
}

/**
 * SGLang, which alone says its weights' version like this, starts all n samples of a prompt from the request's seed too:
 * where it obeys seeds (`--enable-deterministic-inference`) they are one sample n times. Its cache makes up for the rest.
 */
function repeatsSamples({ metadata }: WireAnswer): boolean {
  return typeof metadata?.weight_version === 'string';
}

/** Choices by prompt, equally many of each: as many as asked, or fewer where the server does not do `n`. */
function divide(answer: WireAnswer, prompts: readonly Prompt[], n: number, calls: Calls): Choice[][] {
  const { service } = calls;
  const found = answer.choices?.length ?? 0;
  if (found === 0) throw new ServiceError('retryable', `${service} answered without any choice`, { service });
  // Prompt-major: index = prompt x n + sample.
  const ordered = [...answer.choices].sort((a, b) => (a.index ?? 0) - (b.index ?? 0));
  const by = (size: number) => prompts.map((_, prompt) => ordered.slice(prompt * size, (prompt + 1) * size));
  if (prompts.length > 1 && sharesNoise(answer)) throw new NoLists();
  if (n > 1 && repeatsSamples(answer)) {
    calls.learn({ ...calls.dialect(), many: false });
    return [ordered.slice(0, 1)];
  }
  if (found >= prompts.length * n) return by(n);
  if (prompts.length === 1) {
    if (found === 1) calls.learn({ ...calls.dialect(), many: false });
    return by(found);
  }
  // As many choices as prompts: one of each, or n of the first one where these numbers are the same.
  if (found !== prompts.length || (found === n && !readAll(answer, prompts))) throw new NoLists();
  calls.learn({ ...calls.dialect(), many: false });
  return by(1);
}

/** Whether the server's count of prompt tokens is that of all prompts rather than of the first. */
function readAll({ usage }: WireAnswer, prompts: readonly Prompt[]): boolean {
  const counted = usage?.prompt_tokens;
  if (counted === null || counted === undefined) return false;
  const lengths = prompts.map(({ tokens }) => tokens.length);
  const all = lengths.reduce((sum, length) => sum + length, 0);
  return Math.abs(counted - all) < Math.abs(counted - (lengths[0] ?? 0));
}

function total(counts: readonly (number | null)[]): number | null {
  return counts.reduce((sum, count) => (sum === null || count === null ? null : sum + count), 0 as number | null);
}
