import type { RunConfig } from '../../config/schema.ts';
import { connectOpenAi } from '../openai/client.ts';
import { toServiceError } from '../openai/errors.ts';
import type { Renderer } from '../renderer/renderer.ts';
import type { OpenAiSamplerConfig } from '../sampler/openai.ts';
import { sharesNoise } from '../sampler/openai-calls.ts';
import { afterRefusal, type Dialect, fluent } from '../sampler/openai-dialect.ts';
import { type Choice, logprobsOf, type PromptForm, toBody, toRaw, type WireAnswer } from '../sampler/openai-wire.ts';
import type { Prompt, SampleRequest } from '../sampler/sampler.ts';
import { createFindings, degrades, type Findings, stops, unknown, yes } from './finding.ts';
import { checkModels } from './models.ts';
import { checkTokenizer } from './tokenizer.ts';

const of = { name: 'the sampler (policy.sampler)', path: 'policy.sampler' };

/** Tokens of most probes: enough to see how a text begins. */
const FEW = 48;
/** Tokens that an answer gets to come to its end. */
const MANY = 512;

export interface SamplerCheck {
  config: RunConfig;
  sampler: OpenAiSamplerConfig;
  env: NodeJS.ProcessEnv;
  /** Null: there is nothing to ask, so only the address and the model are looked at. */
  asks: Asks | null;
  deadlineMs: number;
  /** What its rows are called; left out, `sampler`. */
  service?: string;
}

export interface Asks {
  renderer: Renderer;
  /** Two prompts of the search; one where there is only one problem. */
  prompts: Prompt[];
}

type Trial = Omit<SamplerCheck, 'asks'> & Asks;

/** What a server behind `/v1/completions` can do, and what follows for the run. About seven short requests. */
export async function checkOpenAiSampler(check: SamplerCheck): Promise<Findings['rows']> {
  const findings = createFindings(check.service ?? 'sampler', check.deadlineMs);
  const { config, asks } = check;
  const connection = () => connectOpenAi(check.sampler, check.env, of);
  const known = await checkModels(findings, { connection, of, model: config.policy.base });
  if (known && asks !== null) {
    checkLength(findings, config, asks.prompts, known.maxTokens);
    await tryOut(findings, { ...check, ...asks });
  }
  return findings.rows;
}

/** Whether the model takes texts as long as the configuration lets them grow. */
function checkLength(
  findings: Findings,
  { search, evaluate, policy, arms, rl }: RunConfig,
  prompts: Prompt[],
  most: number | null,
): void {
  if (most === null) return;
  const prompt = Math.max(...prompts.map(({ tokens }) => tokens.length));
  const path = prompt + search.maxDepth * search.maxStepTokens + search.maxRolloutTokens;
  const trained = policy.trainer === null ? [] : arms.map((arm) => rl[arm].maxTokens);
  const answer = prompt + Math.max(evaluate.maxTokens, search.maxStepTokens, search.maxRolloutTokens, ...trained);
  if (answer > most) {
    const means =
      'serve the model with a longer context (vLLM: --max-model-len), or lower the limits on tokens of search, rl and evaluate';
    findings.add('context', stops(`${most} tokens; prompt and answer may need ${answer}`, means));
  } else if (path > most) {
    const means =
      'a problem whose paths grow longer fails: lower search.maxDepth or maxStepTokens, or serve a longer context';
    findings.add('context', degrades(`${most} tokens; the longest path of the search may need ${path}`, means));
  } else findings.add('context', yes(`${most} tokens`));
}

async function tryOut(findings: Findings, check: Trial): Promise<void> {
  const { config, renderer, prompts } = check;
  const trains = needsExactTokens(config);
  const ask = asker(check);
  const [first = { tokens: [], text: '' }, second = first] = prompts;
  let answer: WireAnswer | undefined;
  await findings.probe('sampling', async (signal) => {
    try {
      answer = await ask({ temperature: 0, logprobs: 'wanted' }, [first], signal);
    } catch (error) {
      if (!isRefusal(error) || check.sampler.prompts === 'text') throw error;
      await ask({ maxTokens: 1 }, [first], signal, { form: 'text' });
      return stops('token ids refused', 'the server takes only text: set "policy.sampler.prompts": "text"');
    }
    const text = answer.choices?.[0]?.text;
    if (text === '') return yes('an empty text');
    if (typeof text === 'string') return yes(`"${shorten(text)}"`);
    return stops('no text', 'the server answers /v1/completions with something else than completions');
  });
  const choice = answer?.choices?.[0];
  if (answer === undefined || typeof choice?.text !== 'string') return;

  checkTokenIds(findings, choice, check, trains);
  await findings.probe('log-probabilities', async (signal) => {
    const again = logprobsOf(choice)
      ? answer
      : await ask({ logprobs: 'wanted' }, [first], signal, { dialect: { logprobs: 1 } });
    if (again?.choices?.[0] && logprobsOf(again.choices[0]) !== null) return yes('of every sampled token');
    return trains
      ? stops('none', 'reinforcement learning needs them: serve the model with vLLM, or set policy.trainer to null')
      : degrades('none', 'the search takes all next steps for equally likely at first');
  });
  await findings.probe('n samples a request', async (signal) => {
    const { choices } = await ask({ n: 2, maxTokens: 8 }, [first], signal);
    return choices.length === 2
      ? yes('2 of 2')
      : degrades(`${choices.length} of 2`, 'each sample becomes a request of its own');
  });
  await findings.probe('lists of prompts', async (signal) => {
    try {
      const listed = await ask({ maxTokens: 8 }, [first, second], signal);
      const { choices } = listed;
      if (sharesNoise(listed)) return yes('served with the same noise, so each prompt becomes a request of its own');
      if (choices.length === 2) return yes('2 of 2');
      return degrades(`${choices.length} of 2`, 'each prompt becomes a request of its own');
    } catch (error) {
      if (signal.aborted || !isRefusal(error)) throw error;
      return degrades('refused', 'each prompt becomes a request of its own');
    }
  });
  await findings.probe('stop strings', (signal) => stopStrings(choice.text, (change) => ask(change, [first], signal)));
  await findings.probe('end of an answer', async (signal) => {
    const maxTokens = Math.min(MANY, config.evaluate.maxTokens);
    try {
      const { choices } = await ask({ maxTokens }, [first], signal);
      return endOfAnswer(choices[0], maxTokens, check, trains);
    } catch (error) {
      if (!signal.aborted) throw error;
      return unknown(`${maxTokens} tokens take longer than the deadline`);
    }
  });
  findings.add(
    'usage',
    typeof answer.usage?.completion_tokens === 'number'
      ? yes(`${answer.usage.prompt_tokens} + ${answer.usage.completion_tokens} tokens`)
      : degrades('not reported', "the run's accounts count tokens of the policy's tokenizer"),
  );
  const connection = () => connectOpenAi(check.sampler, check.env, of);
  await checkTokenizer(findings, {
    connection,
    model: config.policy.base,
    prompt: first,
    sampler: check.sampler,
    renderer,
    ask,
  });
}

/** Whether some arm does reinforcement learning. */
export function needsExactTokens({ policy, arms, rl }: RunConfig): boolean {
  return policy.trainer !== null && arms.some((arm) => rl[arm].iterations > 0);
}

export type Ask = (
  change: Partial<SampleRequest>,
  prompts: readonly Prompt[],
  signal: AbortSignal,
  /** What differs from how the sampler would ask. */
  otherwise?: { dialect?: Partial<Dialect>; form?: PromptForm; fields?: Record<string, unknown> },
) => Promise<WireAnswer>;

/** Asks as the sampler does, and leaves out what the server refuses; what it answers is for the probes to judge. */
function asker({ sampler, env, renderer, config }: Trial): Ask {
  let refused: Dialect['refused'] = [];
  return async (change, prompts, signal, otherwise = {}) => {
    const { client, root } = connectOpenAi(sampler, env, of);
    const request: SampleRequest = {
      callId: 'check',
      attempt: 1,
      model: config.policy.base,
      prompts: [...prompts],
      n: 1,
      maxTokens: FEW,
      temperature: 1,
      stops: [],
      keepStop: false,
      seed: 1,
      logprobs: false,
      ...change,
    };
    for (let dialect: Dialect = { ...fluent, lists: prompts.length > 1, refused, ...otherwise.dialect }; ; ) {
      const form = { prompts: otherwise.form ?? sampler.prompts, bos: renderer.bos };
      const asked = toBody(request, { prompts, n: request.n, seed: request.seed }, form, dialect);
      const body: Record<string, unknown> = { ...asked, ...otherwise.fields };
      for (const field of dialect.refused) delete body[field];
      try {
        const options = { signal: AbortSignal.any([signal]) };
        const answer = (await client.completions.create(body as never, options)) as unknown as WireAnswer;
        return { ...answer, choices: answer.choices ?? [] };
      } catch (caught) {
        const error = toServiceError(caught, root, of, signal);
        const learned = afterRefusal(dialect, error, body);
        if (learned === null) throw error;
        dialect = learned;
        refused = learned.refused;
      }
    }
  };
}

function checkTokenIds(findings: Findings, choice: Choice, { sampler, renderer }: Trial, trains: boolean): void {
  const means = trains
    ? 'reinforcement learning needs the tokens that were sampled: serve the model with vLLM, or set policy.trainer to null'
    : 'tokens are encoded from the text: enough for search and evaluation';
  const without = (found: string) => (trains ? stops(found, means) : degrades(found, means));
  if (sampler.prompts === 'text') findings.add('token ids', without('text only (policy.sampler.prompts)'));
  else if (!Array.isArray(choice.token_ids)) findings.add('token ids', without('none in the answer'));
  else {
    const written = renderer.decode(choice.token_ids);
    const same = written.trim() === choice.text.trim();
    const differs = `the answer's tokens mean "${shorten(written)}", its text is "${shorten(choice.text)}"`;
    const advice = "policy.tokenizer must be the served model's own files";
    findings.add('token ids', same ? yes('as sampled') : stops(differs, advice));
  }
}

/** Asks for a text again with a stop string that stands in it. */
async function stopStrings(text: string, ask: (change: Partial<SampleRequest>) => Promise<WireAnswer>) {
  // Two characters from behind the first third on, which do not stand there earlier.
  const from = Math.max(1, Math.floor(text.length / 3));
  const places = Array.from({ length: Math.max(0, text.length - 2 - from) }, (_, index) => from + index);
  const at = places.find((place) => text.indexOf(text.slice(place, place + 2)) === place);
  if (at === undefined) return unknown('the answer is too short to tell');
  const stop = text.slice(at, at + 2);
  const { choices } = await ask({ temperature: 0, stops: [stop], keepStop: true });
  const cut = choices[0]?.text ?? '';
  if (cut === text.slice(0, at + stop.length)) return yes('kept at the end of the text');
  if (cut === text.slice(0, at)) return yes('removed from the text; put back where the search needs them');
  if (cut.includes(stop)) return degrades('ignored', 'texts are cut afterwards, and the tokens behind were paid for');
  return unknown('the same request gave another text');
}

function endOfAnswer(choice: Choice | undefined, maxTokens: number, check: Trial, trains: boolean) {
  if (choice === undefined) return unknown('no answer');
  const { renderer, sampler } = check;
  const request = { maxTokens } as SampleRequest;
  const { tokens, text, stopReason } = toRaw(choice, request, sampler.prompts, renderer, of.name);
  if (stopReason === 'length') return unknown(`the first answer is longer than ${maxTokens} tokens`);
  const control = /<[|｜][^<>\s]+[|｜]>\s*$/.exec(text);
  if (control)
    return degrades(
      `${control[0].trim()} stands in the text`,
      'start the server so that special tokens are left out of texts',
    );
  if (tokens === null) return yes('ends by itself');
  const last = tokens.at(-1) as number;
  const name = (token: number) => JSON.stringify(renderer.decode([token], { special: true }));
  if (last === renderer.eosToken) return yes(`with ${name(last)}`);
  if (renderer.decode([last]) === '') {
    const found = `with ${name(last)}, not with ${name(renderer.eosToken)}`;
    return degrades(
      found,
      'training teaches the second; set policy.template so that it fits the model, or ignore this for a base model',
    );
  }
  const means = "training on such answers does not teach where to end; let the server return the end token's id";
  return trains ? degrades('its token is not among the token ids', means) : yes('ends by itself');
}

function isRefusal(error: unknown): boolean {
  return error instanceof Error && 'status' in error && (error.status === 400 || error.status === 422);
}

function shorten(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > 40 ? `${line.slice(0, 40)}…` : line;
}
