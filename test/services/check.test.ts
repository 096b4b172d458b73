import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type RunConfig, type RunConfigInput, runConfigSchema } from '../../src/config/schema.ts';
import { type CheckRow, canRun, checkServices } from '../../src/services/check/index.ts';
import { tokenizerRenderer } from '../../src/services/renderer/tokenizer.ts';
import {
  folderTokenizer,
  type ModelServer,
  type ServerBehaviour,
  simpleServer,
  startModelServer,
  strictServer,
} from '../support/model-server.ts';
import { startSglang } from '../support/sglang-double.ts';
import { startTinkerServer } from '../support/tinker-server.ts';
import { startVllm } from '../support/vllm-double.ts';

const folder = 'test/fixtures/chat/llama3';
const renderer = tokenizerRenderer(folder, 'chat');
const options = { deep: false, deadlineMs: 5000 };
const answer = 'First we add the numbers, then we look at what is left.\n\nAnswer: 28';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});

async function serve(behaviour: Partial<ServerBehaviour> = {}, write = (): string => answer): Promise<ModelServer> {
  const server = await startModelServer({ write, renderer, tokenize: folderTokenizer(folder), behaviour });
  open.push(server);
  return server;
}

function config(baseUrl: string, policy: object = {}, more: RunConfigInput = {}): RunConfig {
  const sampler = { kind: 'openai', baseUrl };
  return runConfigSchema.parse({
    policy: { base: 'model', tokenizer: folder, template: 'chat', sampler, trainer: null, ...policy },
    ...more,
  });
}

const tinker = (baseUrl: string) => ({ kind: 'tinker', baseUrl });

/** `what` of a service, as the table shows it. */
function seen(rows: CheckRow[], service: string): Record<string, string> {
  return Object.fromEntries(
    rows
      .filter((row) => row.service === service)
      .map(({ what, state, effect, found }) => [what, `${effect ?? state}: ${found}`]),
  );
}

describe('a check of a sampler like vLLM', () => {
  it('finds nothing missing', async () => {
    const { baseUrl, requests } = await serve();
    const rows = await checkServices(config(baseUrl), {}, options);
    expect(seen(rows, 'sampler')).toEqual({
      reachable: `yes: ${baseUrl}`,
      model: 'yes: model',
      sampling: 'yes: "First we add the numbers, then we look a…"',
      'token ids': 'yes: as sampled',
      'log-probabilities': 'yes: of every sampled token',
      'n samples a request': 'yes: 2 of 2',
      'lists of prompts': 'yes: served with the same noise, so each prompt becomes a request of its own',
      'stop strings': 'yes: kept at the end of the text',
      'end of an answer': 'yes: with "<|eot_id|>"',
      usage: expect.stringMatching(/^yes: \d+ \+ \d+ tokens$/),
      tokenizer: expect.stringMatching(/^yes: the same ids \(\d+ of a prompt\)$/),
    });
    expect(seen(rows, 'policy').tokenizer).toMatch(/template "chat", answers end with <\|eot_id\|>$/);
    expect(canRun(rows)).toBe(true);
    expect(requests.length).toBeLessThan(10);
  });
});

describe('a check of a simpler sampler', () => {
  const cases: [string, Partial<ServerBehaviour>, Record<string, unknown>][] = [
    ['no n', { n: 'ignored' }, { 'n samples a request': 'degrades: 1 of 2' }],
    ['n refused', { n: 'refused' }, { 'n samples a request': 'degrades: 1 of 2' }],
    ['no lists', { lists: 'refused' }, { 'lists of prompts': 'degrades: refused' }],
    ['the first of a list', { isVllm: false, lists: 'first' }, { 'lists of prompts': 'degrades: 1 of 2' }],
    ['no log-probabilities', { logprobs: 'ignored' }, { 'log-probabilities': 'degrades: none' }],
    ['log-probabilities refused', { logprobs: 'refused' }, { 'log-probabilities': 'degrades: none' }],
    [
      'log-probabilities beside others',
      { logprobs: 'above-zero' },
      { 'log-probabilities': 'yes: of every sampled token' },
    ],
    ['no token ids', { tokenIds: false }, { 'token ids': 'degrades: none in the answer' }],
    ['stops removed', { stops: 'removed' }, { 'stop strings': expect.stringMatching(/^yes: removed/) }],
    ['stops ignored', { stops: 'ignored' }, { 'stop strings': 'degrades: ignored' }],
    ['no usage', { usage: false }, { usage: 'degrades: not reported' }],
    ['no end token', { eosInTokens: false }, { 'end of an answer': 'yes: ends by itself' }],
    ['no /tokenize', { tokenize: false }, { tokenizer: expect.stringMatching(/^yes: the same ids/) }],
    [
      'only counts',
      { tokenize: false, tokenIds: false },
      { tokenizer: expect.stringMatching(/^unknown: ids cannot be compared; counts agree/) },
    ],
    [
      'neither ids nor counts',
      { tokenize: false, tokenIds: false, usage: false },
      { tokenizer: 'unknown: the server tells neither ids nor counts' },
    ],
    [
      "OpenAI's fields only",
      strictServer,
      { sampling: expect.stringMatching(/^yes/), 'token ids': 'degrades: none in the answer' },
    ],
  ];
  it.each(cases)('finds %s', async (_what, behaviour, expected) => {
    const { baseUrl } = await serve(behaviour);
    const rows = await checkServices(config(baseUrl), {}, options);
    expect(seen(rows, 'sampler')).toMatchObject(expected);
    expect(canRun(rows)).toBe(true);
  });

  it('finds that text must be sent, and that then it works', async () => {
    const { baseUrl } = await serve(simpleServer);
    const rows = await checkServices(config(baseUrl), {}, options);
    expect(seen(rows, 'sampler').sampling).toBe('stops: token ids refused');
    expect(rows.find(({ what }) => what === 'sampling')?.means).toMatch(/"policy\.sampler\.prompts": "text"/);
    const text = await checkServices(
      config(baseUrl, { sampler: { kind: 'openai', baseUrl, prompts: 'text' } }),
      {},
      options,
    );
    expect(canRun(text)).toBe(true);
    const bytes = { tokenizer: 'bytes', template: 'plain', sampler: { kind: 'openai', baseUrl, prompts: 'text' } };
    const none = await checkServices(config(baseUrl, bytes), {}, options);
    expect(seen(none, 'sampler').tokenizer).toMatch(/^unknown: policy\.tokenizer is "bytes"/);
    expect(canRun(none)).toBe(true);
  });

  it('stops a run with reinforcement learning where tokens or their log-probabilities are missing', async () => {
    const trainer = await startTinkerServer({ base: 'model', renderer, write: () => answer });
    open.push(trainer);
    for (const [behaviour, what] of [
      [{ logprobs: 'ignored' }, 'log-probabilities'],
      [{ tokenIds: false }, 'token ids'],
    ] as const) {
      const { baseUrl } = await serve(behaviour);
      const rows = await checkServices(config(baseUrl, { trainer: tinker(trainer.baseUrl) }), {}, options);
      expect(seen(rows, 'sampler')[what]).toMatch(/^stops: none/);
      const still = { search: { iterations: 0 }, direct: { iterations: 0 } };
      const without = await checkServices(
        config(baseUrl, { trainer: tinker(trainer.baseUrl) }, { rl: still }),
        {},
        options,
      );
      expect(seen(without, 'sampler')[what]).toMatch(/^degrades: none/);
    }
  });

  it('compares the longest text that the model takes with what the run may need', async () => {
    const context = async (maxModelLen: number | null) => {
      const { baseUrl } = await serve({ maxModelLen });
      return seen(await checkServices(config(baseUrl), {}, options), 'sampler').context;
    };
    expect(await context(8192)).toBe('yes: 8192 tokens');
    expect(await context(1024)).toMatch(/^degrades: 1024 tokens; the longest path of the search may need 25\d\d$/);
    expect(await context(256)).toMatch(/^stops: 256 tokens; prompt and answer may need 3\d\d$/);
    expect(await context(null)).toBeUndefined();
  });

  it("finds another model's tokenizer or template", async () => {
    const { baseUrl } = await serve();
    const other = await checkServices(config(baseUrl, { tokenizer: 'test/fixtures/chat/chatml' }), {}, options);
    expect(seen(other, 'sampler').tokenizer).toMatch(/^stops: /);
    expect(canRun(other)).toBe(false);
    const plain = await checkServices(config(baseUrl, { template: 'plain' }), {}, options);
    expect(seen(plain, 'sampler')['end of an answer']).toBe('degrades: with "<|eot_id|>", not with "<|end_of_text|>"');
  });
});

describe('a check of a service that is not there', () => {
  it('says so for each, and does not ask further', async () => {
    const server = await serve();
    const { baseUrl } = server;
    await server.close();
    const chat = { kind: 'openai-chat', model: 'other', baseUrl } as const;
    const roles = { judge: { model: chat }, narrator: { model: chat } };
    const rows = await checkServices(config(baseUrl, { trainer: tinker(baseUrl) }, { roles }), {}, options);
    for (const service of ['sampler', 'trainer', 'judge', 'narrator']) {
      expect(seen(rows, service)).toEqual({ reachable: 'stops: no answer' });
    }
    expect(rows.find(({ service }) => service === 'sampler')?.means).toMatch(/unreachable \(ECONNREFUSED\)/);
    expect(canRun(rows)).toBe(false);
  });

  it('names what is wrong with address, key and model', async () => {
    const { baseUrl } = await serve({ apiKey: 'right' });
    const sampler = { kind: 'openai', baseUrl, apiKey: { env: 'KEY' } };
    const check = async (change: object, env: NodeJS.ProcessEnv) =>
      seen(await checkServices(config(baseUrl, change), env, options), 'sampler');
    expect(await check({ sampler }, {})).toEqual({ reachable: 'stops: not possible' });
    expect(await check({ sampler }, { KEY: 'wrong' })).toEqual({ reachable: `stops: ${baseUrl} refuses the key` });
    expect(await check({ sampler, base: 'other' }, { KEY: 'right' })).toMatchObject({
      model: 'stops: other is not among model',
    });
    expect((await check({ sampler }, { KEY: 'right' })).usage).toMatch(/^yes/);
  });

  it('gives up at the deadline', async () => {
    const { baseUrl } = await serve({ delayMs: 2000 });
    const rows = await checkServices(config(baseUrl), {}, { deep: false, deadlineMs: 50 });
    expect(seen(rows, 'sampler')).toEqual({ reachable: 'stops: no answer within 0.05 s' });
  });

  it('says what is wrong with a tokenizer or the problems before any service is asked', async () => {
    const { baseUrl, requests } = await serve();
    const without = await checkServices(config(baseUrl, { tokenizer: 'no/such' }), {}, options);
    expect(without[0]).toMatchObject({ what: 'tokenizer', effect: 'stops', means: expect.stringMatching(/no\/such/) });
    const search = { problems: { file: 'no/such.jsonl' } };
    const unread = await checkServices(config(baseUrl, {}, { search }), {}, options);
    expect(seen(unread, 'policy').problems).toBe('stops: no prompt');
    expect(requests.every(({ path }) => path === '/v1/models')).toBe(true);
  });
});

describe('a check of Tinker services', () => {
  it('finds sampler and trainer ready, and makes a model only where asked to', async () => {
    const server = await startTinkerServer({ base: 'model', renderer, write: () => answer });
    open.push(server);
    const { baseUrl } = server;
    const both = config(baseUrl, { sampler: tinker(baseUrl), trainer: { ...tinker(baseUrl), loraRank: 8 } });
    const rows = await checkServices(both, {}, options);
    expect(seen(rows, 'sampler')).toMatchObject({
      reachable: `yes: ${baseUrl}`,
      model: 'yes: model',
      'log-probabilities': 'yes: of every sampled token',
      'stop strings': 'yes: kept among the tokens',
    });
    expect(seen(rows, 'trainer')).toMatchObject({
      session: 'yes: opened',
      training: expect.stringMatching(/^unknown: .*--deep/),
    });
    expect(server.steps.size).toBe(0);
    const deep = await checkServices(both, {}, { ...options, deep: true });
    expect(seen(deep, 'trainer').training).toBe('yes: a model with LoRA rank 8 was made');
    expect(canRun(deep)).toBe(true);
    const other = await checkServices({ ...both, policy: { ...both.policy, base: 'other' } }, {}, options);
    expect(seen(other, 'trainer').model).toBe('stops: other is not among model');
  });

  it.each([
    ['Tinker API Mock', null, { parameters: 'stops: the server trains LoRA only' }],
    ['Tinker API Mock', 8, { parameters: 'yes: LoRA rank 8', 'restored models': expect.stringMatching(/^yes/) }],
    ['Open-RL Server MVP', 8, { 'restored models': 'degrades: not checked' }],
  ])('says what is known of %s with LoRA rank %j', async (title, loraRank, rows) => {
    const server = await startTinkerServer({ base: 'model', renderer, write: () => answer, title });
    open.push(server);
    const trained = config(server.baseUrl, { trainer: { ...tinker(server.baseUrl), loraRank } });
    expect(seen(await checkServices(trained, {}, options), 'trainer')).toMatchObject(rows);
  });
});

describe('a check of roles', () => {
  it('asks the chat models of judge and narrator', async () => {
    const { baseUrl } = await serve({ models: ['model', 'judge-model'], n: 'ignored' });
    const judge = { model: { kind: 'openai-chat', model: 'judge-model', baseUrl } as const };
    const rows = await checkServices(config(baseUrl, {}, { roles: { judge, narrator: {} } }), {}, options);
    expect(seen(rows, 'judge')).toEqual({
      reachable: `yes: ${baseUrl}`,
      model: 'yes: judge-model',
      answers: 'yes: "First we add the numbers, then we look a", one answer a request',
    });
    expect(seen(rows, 'narrator')).toEqual({ model: "yes: the policy's base" });
  });

  it('has nothing to ask of scripts', async () => {
    const scripted = { kind: 'scripted' } as const;
    const all = config(
      'http://127.0.0.1:9',
      { sampler: scripted, trainer: scripted },
      { roles: { judge: { model: scripted } } },
    );
    const rows = await checkServices(all, {}, options);
    expect(['sampler', 'trainer', 'judge'].map((service) => Object.values(seen(rows, service))[0])).toEqual([
      'unknown: there is nothing to ask',
      'unknown: there is nothing to ask',
      'unknown: scripted: there is nothing to ask',
    ]);
    expect(canRun(rows)).toBe(true);
  });
});

describe('a check of several servers', () => {
  const of = (sampler: object, policy: object = {}) =>
    config('unused', {
      sampler: { kind: 'openai', ...sampler },
      trainer: { kind: 'scripted' },
      ...policy,
    });

  it('tries each of them, and lets a run go on without one that does not answer', async () => {
    const one = await startVllm({ base: 'model', renderer, tokenize: folderTokenizer(folder), write: () => answer });
    open.push(one);
    const two = await serve();
    const { baseUrl } = two;
    await two.close();
    open.splice(open.indexOf(two), 1);
    const publish = { via: 'vllm-lora', folder: mkdtempSync(join(tmpdir(), 'astroflow-check-')) };
    const rows = await checkServices(of({ baseUrl: `${one.baseUrl}, ${baseUrl}`, publish }), {}, options);
    rmSync(publish.folder, { recursive: true });
    expect(seen(rows, 'sampler server-0').reachable).toBe(`yes: ${one.baseUrl}`);
    expect(seen(rows, 'sampler server-1').reachable).toBe('degrades: no answer');
    expect(seen(rows, 'publish')['route of server-1']).toBe('unknown: no answer');
    expect(canRun(rows)).toBe(true);
  });

  it('stops where none works', async () => {
    const sampler = {
      kind: 'openai',
      endpoints: [{ baseUrl: 'http://127.0.0.1:9' }, { baseUrl: 'http://127.0.0.1:10' }],
    };
    const rows = await checkServices(config('unused', { sampler }), {}, options);
    expect(rows.filter(({ effect }) => effect === 'stops')).toHaveLength(2);
    expect(canRun(rows)).toBe(false);
  });

  it('looks for the routes by which weights are published, and loads nothing', async () => {
    const start = { base: 'model', renderer, tokenize: folderTokenizer(folder), write: () => answer };
    const [able, unable] = [await startVllm(start), await startVllm({ ...start, lora: false })];
    open.push(able, unable);
    const folderOf = mkdtempSync(join(tmpdir(), 'astroflow-check-'));
    const publish = { via: 'vllm-lora', folder: folderOf };
    const baseUrl = `${able.baseUrl} ${unable.baseUrl}`;
    const rows = await checkServices(of({ baseUrl, publish }), {}, options);
    expect(seen(rows, 'publish')).toEqual({
      via: 'yes: vllm-lora',
      folder: `yes: ${folderOf}, which the servers must see under this path`,
      'route of server-0': 'yes: /v1/load_lora_adapter',
      'route of server-1': 'stops: there is no /v1/load_lora_adapter',
    });
    expect(able.adapters.size).toBe(0);
    rmSync(folderOf, { recursive: true });
  });

  it('looks for the program of a command, and for the weights that SGLang has', async () => {
    const server = await startSglang({ base: 'model', basePath: '/b', renderer, write: () => answer });
    open.push(server);
    const command = (program: string) =>
      of({ baseUrl: server.baseUrl, publish: { via: 'command', command: [program] } });
    const env = { PATH: process.env.PATH };
    const found = seen(await checkServices(command('sh'), env, options), 'publish');
    expect(found.command).toMatch(/^yes: \/.*\/sh$/);
    const missing = seen(await checkServices(command('no-such-program'), env, options), 'publish');
    expect(missing.command).toBe('stops: no-such-program is no program');
    const publish = { via: 'sglang-disk', folder: 'relative', base: '/b' };
    expect(seen(await checkServices(of({ baseUrl: server.baseUrl, publish }), {}, options), 'publish')).toEqual({
      via: 'yes: sglang-disk',
      folder: 'stops: relative',
      'route of server-0': 'yes: /update_weights_from_disk; its weights are called "default"',
    });
  });
});
