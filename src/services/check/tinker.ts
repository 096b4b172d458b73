import { type EnvOr, resolveConnection, startHint } from '../address.ts';
import {
  type Capabilities,
  connectTinker,
  encodedText,
  type SampleOutput,
  type TinkerClient,
  TinkerError,
} from '../tinker/index.ts';
import { withServiceErrors } from '../tinker-link.ts';
import {
  type CheckRow,
  createFindings,
  degrades,
  type Finding,
  type Findings,
  stops,
  unknown,
  yes,
} from './finding.ts';
import type { Asks } from './openai-sampler.ts';

interface TinkerSection {
  baseUrl: EnvOr;
  apiKey?: EnvOr | undefined;
  capabilities?: Partial<Capabilities> | undefined;
}

interface TinkerCheck {
  section: TinkerSection;
  base: string;
  env: NodeJS.ProcessEnv;
  deadlineMs: number;
}

/** Findings whose probes may fail with the client's own errors. */
function findingsOf(service: string, deadlineMs: number): Findings {
  const findings = createFindings(service, deadlineMs);
  return {
    ...findings,
    probe: (what, probe) => findings.probe(what, (signal) => withServiceErrors(() => probe(signal))),
  };
}

/** Whether something answers that knows the model. Null: there is no use in asking further. */
async function reach(
  findings: Findings,
  check: TinkerCheck,
  service: string,
  path: string,
): Promise<TinkerClient | null> {
  let client: TinkerClient | null = null;
  let models: (string | undefined)[] = [];
  await findings.probe('reachable', async (signal) => {
    const { section, env, deadlineMs } = check;
    const connection = resolveConnection(section, env, path);
    const { capabilities } = section;
    const options = { ...connection, service, hint: startHint, timeoutMs: deadlineMs, capabilities };
    const opened = await connectTinker(options, signal);
    const { supported_models = [] } = await opened.capabilities(signal);
    models = supported_models.map(({ model_name }) => model_name);
    client = opened;
    return yes(connection.baseUrl);
  });
  if (client === null) return null;
  const named = models.filter((name) => name !== undefined);
  if (named.includes(check.base)) findings.add('model', yes(check.base));
  else if (named.length === 0) findings.add('model', unknown(`${check.base}: the server lists none`));
  else {
    const found = `${check.base} is not among ${named.slice(0, 5).join(', ')}`;
    findings.add('model', stops(found, 'set policy.base to a model that the server has'));
    return null;
  }
  return client;
}

/** A sampler of the Tinker API: whether it samples, stops and ends as the search needs. */
export async function checkTinkerSampler(
  check: TinkerCheck & { asks: Asks | null; trains: boolean },
): Promise<CheckRow[]> {
  const findings = findingsOf('sampler', check.deadlineMs);
  const client = await reach(findings, check, 'the sampler (policy.sampler)', 'policy.sampler');
  const prompt = check.asks?.prompts[0];
  if (client === null || check.asks === null || prompt === undefined) return findings.rows;
  const { renderer } = check.asks;
  const sample = async (signal: AbortSignal, stop: string[] | number[], n = 1): Promise<SampleOutput['sequences']> => {
    const sampling_params = { max_tokens: 48, temperature: 1, seed: 1, stop };
    const input = { base_model: check.base, prompt: encodedText(prompt.tokens), num_samples: n, sampling_params };
    return (await (await client.sample(input, signal)).result()).sequences;
  };

  let sequences: SampleOutput['sequences'] = [];
  await findings.probe('sampling', async (signal) => {
    sequences = await sample(signal, [renderer.eosToken], 2);
    if (sequences.length === 2) return yes(`"${shorten(renderer.decode(sequences[0]?.tokens ?? []))}"`);
    return stops(`${sequences.length} samples instead of 2`, 'the server must serve num_samples');
  });
  const [first] = sequences;
  if (first === undefined) return findings.rows;
  findings.add(
    'log-probabilities',
    first.logprobs?.length === first.tokens.length
      ? yes('of every sampled token')
      : (check.trains ? stops : degrades)('none', 'reinforcement learning and the priors of the search need them'),
  );
  const text = renderer.decode(first.tokens);
  const stop = [...text].slice(2, 4).join('');
  if (stop.length < 2) findings.add('stop strings', unknown('the answer is too short to tell'));
  else {
    await findings.probe('stop strings', async (signal) => {
      const [again] = await sample(signal, [stop]);
      const whole = renderer.decode(again?.tokens ?? []);
      if (!whole.includes(stop)) return unknown('the same request gave another text');
      const behind = whole.length - whole.indexOf(stop) - stop.length;
      // The token that completes the string may reach beyond it.
      return behind < 16
        ? yes('kept among the tokens')
        : degrades('ignored', 'texts are cut afterwards, and the tokens behind were paid for');
    });
  }
  findings.add('tokenizer', unknown('the protocol has no text to compare ids by'));
  return findings.rows;
}

/** A trainer of the Tinker API. A session is free; a model is made only where asked for (`deep`), and given back. */
export async function checkTinkerTrainer(
  check: TinkerCheck & { loraRank: number | null; deep: boolean },
): Promise<CheckRow[]> {
  const findings = findingsOf('trainer', check.deadlineMs);
  const client = await reach(findings, check, 'the trainer (policy.trainer)', 'policy.trainer');
  if (client === null) return findings.rows;
  findings.add('parameters', parameters(client, check.loraRank));
  findings.add('restored models', restores(client));
  for (const [what, finding] of differences(client)) findings.add(what, finding);
  let sessionId: string | undefined;
  await findings.probe('session', async (signal) => {
    sessionId = await client.createSession(signal);
    return yes('opened');
  });
  if (sessionId === undefined) return findings.rows;
  if (!check.deep) {
    findings.add('training', unknown('making a model may cost something: --deep tries it'));
    return findings.rows;
  }
  const session = sessionId;
  await findings.probe('training', async (signal) => {
    const lora = check.loraRank === null ? null : { rank: check.loraRank };
    try {
      const model = { sessionId: session, modelSeqId: 0, baseModel: check.base, lora };
      const { model_id: modelId } = await (await client.createModel(model, signal)).result();
      await (await client.unloadModel(modelId, signal)).result();
      return yes(
        lora === null ? 'a model with all parameters was made' : `a model with LoRA rank ${lora.rank} was made`,
      );
    } catch (error) {
      if (!(error instanceof TinkerError) || error.kind !== 'fatal') throw error;
      return stops('no model could be made', `${error.message}; policy.trainer.loraRank is ${check.loraRank}`);
    }
  });
  return findings.rows;
}

/** What is trained, as far as it is known of the server. */
function parameters({ can }: TinkerClient, loraRank: number | null): Finding {
  if (loraRank === null)
    return can.fullFinetune ? yes('all') : stops('the server trains LoRA only', 'set policy.trainer.loraRank');
  return can.lora
    ? yes(`LoRA rank ${loraRank}`)
    : stops('the server trains no LoRA', 'set policy.trainer.loraRank to null');
}

function restores({ can }: TinkerClient): Finding {
  if (can.forward) return yes('checked before anything is trained');
  return degrades('not checked', 'the server has no pass without a gradient: a wrong restore shows in the loss only');
}

/** What the server computes otherwise than the configuration says. */
function differences({ can }: TinkerClient): [what: string, Finding][] {
  const found: [string, Finding][] = [];
  if (!can.gradClip) found.push(['gradient clipping', degrades('not done', 'the server ignores adam.gradClipNorm')]);
  if (can.lossReduction === 'row-mean')
    found.push(['loss', degrades('averaged over rows', 'fine-tuning counts each row the same, whatever its length')]);
  return found;
}

function shorten(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > 40 ? `${line.slice(0, 40)}…` : line;
}
