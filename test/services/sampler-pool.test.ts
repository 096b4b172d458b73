import { afterEach, describe, expect, it } from 'vitest';
import { createRenderer } from '../../src/services/renderer/tokenizer.ts';
import { type OpenAiSamplerConfig, openaiSampler } from '../../src/services/sampler/openai.ts';
import type { SampleRequest, SampleResult } from '../../src/services/sampler/sampler.ts';
import { engineServer, type ModelServer, type ServerBehaviour, startModelServer } from '../support/model-server.ts';

const renderer = createRenderer('bytes', 'plain');
const { signal } = new AbortController();
const prompts = Array.from({ length: 8 }, (_, at) =>
  renderer.prompt([{ role: 'user', content: `What is 7 + ${at}?` }]),
);
const request: SampleRequest = {
  callId: 'rl/k/iter-0/0',
  attempt: 1,
  activity: 'run/1',
  model: 'model',
  prompts,
  n: 2,
  maxTokens: 40,
  temperature: 1,
  stops: [],
  keepStop: false,
  seed: 5,
  logprobs: 'required',
};

let servers: ModelServer[] = [];
afterEach(async () => {
  await Promise.all(servers.map((server) => server.close()));
  servers = [];
});

async function setup(count = 2, behaviour: Partial<ServerBehaviour> = {}, change: Partial<OpenAiSamplerConfig> = {}) {
  const write = (prompt: string, random: { int(below: number): number }) =>
    `${prompt.length} ${random.int(1_000_000)}.`;
  servers = await Promise.all(Array.from({ length: count }, () => startModelServer({ write, renderer, behaviour })));
  const env = { SERVERS: servers.map(({ baseUrl }) => baseUrl).join(',\n ') };
  const said: string[] = [];
  const config = { baseUrl: { env: 'SERVERS' }, timeoutMs: 5_000, prompts: 'tokens', ...change } as const;
  const sampler = openaiSampler(config, env, renderer, {
    warn: (message) => said.push(message),
    sleep: async () => {},
  });
  const sample = (of: Partial<SampleRequest> = {}) => sampler.sample({ ...request, ...of }, signal);
  const sent = () => servers.map(({ requests }) => requests.filter(({ path }) => path === '/v1/completions'));
  return { sampler, sample, said, sent, env };
}

const texts = ({ completions }: SampleResult) => completions.map((list) => list.map(({ text }) => text));
const endpoints = ({ completions }: SampleResult) =>
  new Set(completions.flat().map(({ servedBy }) => servedBy?.endpoint));

describe('a sampler of several servers', () => {
  it('finds them in one environment variable, and records who answered by name', async () => {
    const { sample, env } = await setup();
    const result = await sample();
    expect(endpoints(result)).toEqual(new Set(['server-0', 'server-1']));
    expect(JSON.stringify(result)).not.toContain(new URL(env.SERVERS.split(',')[0] as string).host);
  });

  it('records nothing of a single one', async () => {
    const { sample } = await setup(1);
    for (const completion of (await sample()).completions.flat()) expect(completion).not.toHaveProperty('servedBy');
  });

  it('samples the same, whoever answers and however many there are', async () => {
    const { sample } = await setup(1);
    const alone = texts(await sample());
    await Promise.all(servers.map((server) => server.close()));
    const three = await setup(3);
    expect(texts(await three.sample())).toEqual(alone);
    await servers[1]?.close();
    for (let call = 0; call < 3; call++) expect(texts(await three.sample())).toEqual(alone);
    expect(three.said.join()).toMatch(/server-1 .* is out/);
  });

  it('keeps names, keys and limits of each apart', async () => {
    const { sent } = await setup();
    const [a, b] = servers.map(({ baseUrl }) => baseUrl);
    const config = {
      baseUrl: 'http://unused',
      apiKey: 'shared',
      timeoutMs: 5_000,
      prompts: 'tokens',
      endpoints: [{ name: 'fast', baseUrl: a as string, apiKey: { env: 'FAST_KEY' } }, { baseUrl: b as string }],
    } as const;
    const sampler = openaiSampler(config, { FAST_KEY: 'own' }, renderer, { warn: () => {} });
    const result = await sampler.sample(request, signal);
    expect(endpoints(result)).toEqual(new Set(['fast', 'server-1']));
    const keys = sent().map((list) => new Set(list.map(({ headers }) => headers.authorization)));
    expect(keys).toEqual([new Set(['Bearer own']), new Set(['Bearer shared'])]);
  });

  it('asks again elsewhere under an id that tells the tries apart', async () => {
    const { sample, sent } = await setup(2, engineServer);
    servers[0]?.fail({ status: 500 }, { reset: true });
    servers[1]?.fail();
    for (let call = 0; call < 3; call++) await sample({ callId: `c/${call}`, affinity: `p${call}` });
    const ids = sent().flatMap((list) => list.map(({ headers }) => String(headers['x-astroflow-call'])));
    const again = ids.filter((id) => /\/again-1$/.test(id));
    expect(ids.length).toBe(3 + again.length);
    for (const id of again) expect(ids).toContain(id.replace('/again-1', ''));
    expect(again.length).toBeLessThanOrEqual(2);
    servers[0]?.fail({ status: 500 });
    servers[1]?.fail({ status: 500 });
    await expect(sample({ callId: 'both' })).rejects.toMatchObject({ status: 500, kind: 'retryable' });
  });

  it('sends a problem to one server, and different problems to all', async () => {
    const { sample, sent } = await setup(2, engineServer);
    for (let call = 0; call < 4; call++) await sample({ affinity: 'problem 1' });
    expect(
      sent()
        .map((list) => list.length)
        .sort(),
    ).toEqual([0, 4]);
    for (let problem = 0; problem < 20; problem++) await sample({ affinity: `problem ${problem}` });
    for (const list of sent()) expect(list.length).toBeGreaterThan(4);
  });

  it('has no account of what was served where one of them keeps no journal', async () => {
    const { sampler } = await setup();
    expect(await sampler.journal('rl/', signal)).toBeNull();
    expect(await sampler.served('rl/', signal)).toBeNull();
  });

  it('learns once for all of them what they refuse', async () => {
    const { sample, said, sent } = await setup(2, { ...engineServer, strict: true, tokenIds: false });
    for (let call = 0; call < 6; call++) await sample({ logprobs: false, affinity: `${call}` });
    expect(said.filter((one) => one.includes('return_token_ids'))).toHaveLength(1);
    const refusing = sent()
      .flat()
      .filter(({ body }) => 'return_token_ids' in body);
    expect(refusing).toHaveLength(1);
  });
});

describe('the priority of a request', () => {
  it('is sent where it is configured, and left out where the server does not schedule by it', async () => {
    const { sample, said, sent } = await setup(1, {}, { priority: 'short-first' });
    await sample({ prompts: prompts.slice(0, 1) });
    await sample({ prompts: prompts.slice(0, 1) });
    expect(said.filter((one) => one.includes('priority'))).toHaveLength(1);
    const [first, ...later] = sent()
      .flat()
      .map(({ body }) => body);
    expect(first).toMatchObject({ priority: 40 + (prompts[0]?.tokens.length ?? 0) });
    for (const body of later) expect(body).not.toHaveProperty('priority');
  });

  it('is lower for what is shorter, or for calls that began earlier', async () => {
    const { sample, sent } = await setup(1, { priority: true }, { priority: 'short-first' });
    await sample({ prompts: prompts.slice(0, 1), maxTokens: 10 });
    await sample({ prompts: prompts.slice(0, 1), maxTokens: 30 });
    const [short, long] = sent()
      .flat()
      .map(({ body }) => Number(body.priority));
    expect(long).toBe((short as number) + 20);
    const of = {
      baseUrl: servers[0]?.baseUrl ?? '',
      timeoutMs: 5_000,
      prompts: 'tokens',
      priority: 'old-first',
    } as const;
    let now = 1_000_000;
    const sampler = openaiSampler(of, {}, renderer, { warn: () => {}, now: () => now });
    await sampler.sample(request, signal);
    now += 5_000;
    await sampler.sample(request, signal);
    const priorities = sent()
      .flat()
      .slice(2)
      .map(({ body }) => body.priority);
    expect(new Set(priorities)).toEqual(new Set([1_000, 1_005]));
  });

  it('is not sent where none is configured', async () => {
    const { sample, sent } = await setup(1, { priority: true });
    await sample();
    for (const { body } of sent().flat()) expect(Object.keys(body)).not.toContain('priority');
  });
});
