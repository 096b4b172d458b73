import type { connectOpenAi } from '../openai/client.ts';
import { bytesRenderer } from '../renderer/bytes.ts';
import type { Renderer } from '../renderer/renderer.ts';
import type { OpenAiSamplerConfig } from '../sampler/openai.ts';
import type { Prompt } from '../sampler/sampler.ts';
import { degrades, type Findings, stops, unknown, yes } from './finding.ts';
import type { Ask } from './openai-sampler.ts';

interface TokenizerCheck {
  connection: () => ReturnType<typeof connectOpenAi>;
  model: string;
  prompt: Prompt;
  sampler: OpenAiSamplerConfig;
  renderer: Renderer;
  ask: Ask;
}

/** Whether our ids of a prompt are the server's: by its tokenizer, by the ids it echoes, or by its count. */
export async function checkTokenizer(findings: Findings, check: TokenizerCheck): Promise<void> {
  const { prompt, renderer, sampler } = check;
  await findings.probe('tokenizer', async (signal) => {
    if (renderer.hash === bytesRenderer.hash) return unknown('policy.tokenizer is "bytes": tokens are only counted');
    // Where text is sent, ids are for the accounts.
    const differ = (found: string) => (sampler.prompts === 'text' ? degrades(found, advice) : stops(found, advice));
    const byTokenizer = await idsByTokenizer(check, signal);
    const { ids, count } = byTokenizer === null ? await idsByText(check, signal) : { ids: byTokenizer, count: null };
    if (ids !== null) {
      const difference = differenceOf(ids, prompt.tokens, renderer);
      return difference === null ? yes(`the same ids (${prompt.tokens.length} of a prompt)`) : differ(difference);
    }
    if (count === null) return unknown('the server tells neither ids nor counts');
    // A server adds the beginning of the text that our prompt may lack.
    const extra = count - prompt.tokens.length;
    if (extra === 0 || extra === 1) return unknown(`ids cannot be compared; counts agree (${count})`);
    return differ(`the server counts ${count} tokens of a prompt, we ${prompt.tokens.length}`);
  });
}

const advice = "policy.tokenizer must be the served model's own files, and policy.template what it was trained with";

/** Null where they are the same. */
function differenceOf(theirs: number[], ours: number[], renderer: Renderer): string | null {
  // Where our prompt has no beginning of the text, a server may put one before it.
  const begun = theirs.length === ours.length + 1 ? theirs.slice(1) : theirs;
  const at = begun.findIndex((token, index) => token !== ours[index]);
  if (at === -1) return begun.length === ours.length ? null : `${begun.length} ids against ${ours.length}`;
  const text = JSON.stringify(renderer.decode(ours.slice(at, at + 3), { special: true }));
  return `ids differ from position ${at} on, at ${text}`;
}

/** vLLM's `/tokenize`; null where there is none. */
async function idsByTokenizer(
  { connection, model, prompt }: TokenizerCheck,
  signal: AbortSignal,
): Promise<number[] | null> {
  const { client, root } = connection();
  try {
    const body = { model, prompt: prompt.text, add_special_tokens: false };
    const options = { body, signal: AbortSignal.any([signal]) };
    const { tokens } = (await client.post(`${root}/tokenize`, options)) as { tokens?: number[] };
    return Array.isArray(tokens) ? tokens : null;
  } catch {
    signal.throwIfAborted();
    return null;
  }
}

/** The prompt sent as text: vLLM repeats its ids, and most servers count them. */
async function idsByText({ ask, prompt }: TokenizerCheck, signal: AbortSignal) {
  try {
    const fields = { return_token_ids: true };
    const answer = await ask({ maxTokens: 1 }, [prompt], signal, { form: 'text', fields });
    const ids = answer.choices[0]?.prompt_token_ids;
    return { ids: Array.isArray(ids) ? ids : null, count: answer.usage?.prompt_tokens ?? null };
  } catch {
    signal.throwIfAborted();
    return { ids: null, count: null };
  }
}
