import { afterEach, describe, expect, it } from 'vitest';
import { createRenderer, tokenizerRenderer } from '../../src/services/renderer/tokenizer.ts';
import { openaiSampler } from '../../src/services/sampler/openai.ts';
import type { SampleRequest } from '../../src/services/sampler/sampler.ts';
import {
  engineServer,
  type Fault,
  folderTokenizer,
  type ModelServer,
  type ServerBehaviour,
  simpleServer,
  startModelServer,
  strictServer,
} from '../support/model-server.ts';

const folder = 'test/fixtures/chat/llama3';
const renderer = tokenizerRenderer(folder, 'chat');
const { signal } = new AbortController();
const prompts = ['What is 7 + 21?', 'What is 7 + 22?', 'What is 7 + 23?'].map((content) =>
  renderer.prompt([{ role: 'user', content }]),
);
const request: SampleRequest = {
  callId: 'search/k/p/1/expand',
  attempt: 1,
  model: 'model',
  prompts,
  n: 2,
  maxTokens: 40,
  temperature: 1,
  stops: ['\n\n'],
  keepStop: true,
  seed: 5,
  logprobs: 'wanted',
};

let server: ModelServer;
afterEach(() => server.close());

async function setup(behaviour: Partial<ServerBehaviour> = {}, form: 'tokens' | 'text' = 'tokens') {
  server = await startModelServer({
    write: (prompt, random) => {
      const asked = /What is 7 \+ (\d+)/.exec(prompt)?.[1];
      return `Step ${random.int(1_000_000)} of ${asked}.\n\nThe answer is \\boxed{28}.`;
    },
    renderer,
    tokenize: folderTokenizer(folder),
    behaviour,
  });
  const warnings: string[] = [];
  const sleeps: number[] = [];
  const sampler = openaiSampler({ baseUrl: server.baseUrl, timeoutMs: 5000, prompts: form }, {}, renderer, {
    warn: (message) => warnings.push(message),
    sleep: async (ms) => sleeps.push(ms),
  });
  const sample = (change: Partial<SampleRequest> = {}) => sampler.sample({ ...request, ...change }, signal);
  const sent = () => server.requests.map(({ body }) => body);
  return { sample, warnings, sleeps, sent };
}

/** What every server must come to: two steps for each prompt, each with its separator. */
function expectSteps({ completions }: { completions: { text: string; tokens: number[] }[][] }): void {
  expect(completions).toHaveLength(3);
  for (const [at, list] of completions.entries()) {
    expect(list).toHaveLength(2);
    for (const { text, tokens } of list) {
      expect(text).toMatch(new RegExp(`^Step \\d+ of 2${at + 1}\\.\n\n$`));
      expect(renderer.decode(tokens)).toBe(text);
    }
  }
  // Each sample has noise of its own.
  expect(new Set(completions.flat().map(({ text }) => text)).size).toBe(6);
}

describe('an OpenAI sampler and the bundled engine', () => {
  it('need one request', async () => {
    const { sample, sent, warnings } = await setup(engineServer);
    const result = await sample();
    expectSteps(result);
    expect(sent()).toHaveLength(1);
    expect(result.calls).toBe(1);
    expect(result.completions[0]?.[0]?.logprobs).toHaveLength(result.completions[0]?.[0]?.tokens.length ?? 0);
    expect(warnings).toEqual([]);
  });
});

describe('an OpenAI sampler and vLLM', () => {
  it('give each prompt noise of its own, by a request of its own', async () => {
    const { sample, sent } = await setup();
    const twice = { prompts: [prompts[0], prompts[0]] as SampleRequest['prompts'], n: 3 };
    const { completions, calls } = await sample(twice);
    expect(new Set(completions.flat().map(({ text }) => text)).size).toBe(6);
    // The first list was in vain.
    expect(calls).toBe(3);
    expect((await sample(twice)).completions).toEqual(completions);
    expect(sent()).toHaveLength(5);
    expectSteps(await sample());
  });

  it('need one request for one prompt', async () => {
    const { sample, sent } = await setup();
    const { completions } = await sample({ prompts: prompts.slice(0, 1), n: 8 });
    expect(completions[0]).toHaveLength(8);
    expect(sent()).toHaveLength(1);
  });
});

describe('an OpenAI sampler and a simpler server', () => {
  const lesser: [string, Partial<ServerBehaviour>, number][] = [
    ['ignores n', { n: 'ignored' }, 2],
    ['refuses n', { n: 'refused' }, 2],
    ['refuses lists of prompts', { lists: 'refused' }, 3],
    ['answers only the first of a list', { lists: 'first' }, 4],
    ['takes neither lists nor n', { lists: 'refused', n: 'ignored' }, 6],
    ['removes stop strings', { stops: 'removed' }, 1],
    ['removes stop strings and does not say so', { stops: 'removed', stopReason: false, tokenIds: false }, 1],
    ['keeps stop strings', { stops: 'kept' }, 1],
    ['ignores stop strings', { stops: 'ignored' }, 1],
    ['has no log-probabilities', { logprobs: 'ignored' }, 2],
    ['refuses to give log-probabilities', { logprobs: 'refused' }, 1],
    ['has log-probabilities only beside alternatives', { logprobs: 'above-zero' }, 2],
    ['gives no token ids', { tokenIds: false }, 1],
    ['says nothing about usage', { usage: false }, 1],
    ['refuses what OpenAI does not document', strictServer, 1],
    ['gives no reasons', { finishReasons: { eos: null, stop: null, length: null }, stopReason: false }, 1],
    ['has other reasons', { finishReasons: { eos: 'eos_token', stop: 'stop_sequence', length: 'length' } }, 1],
  ];

  it.each(lesser)('get the same steps where it %s', async (_what, behaviour, calls) => {
    const { sample, sent } = await setup({ ...engineServer, ...behaviour });
    const first = await sample();
    expectSteps(first);
    expect(first.calls).toBe(calls);
    expect(first.promptTokens).toBeGreaterThan(0);
    const before = sent().length;
    const again = await sample({ callId: 'again' });
    // What has been learned is not asked again, and what is sampled does not depend on it.
    expect(again.completions).toEqual(first.completions);
    expect(sent().length - before).toBe(again.calls);
    expect(new Set(server.requests.slice(before).map(({ headers }) => headers['x-astroflow-call'])).size).toBe(
      again.calls,
    );
  });

  it.each([
    ['text only', simpleServer],
    ['text only, with lists and n', { ...simpleServer, lists: 'served', n: 'served' }],
  ] as [string, Partial<ServerBehaviour>][])('understand each other in %s', async (_what, behaviour) => {
    const { sample, sent } = await setup(behaviour, 'text');
    const result = await sample();
    expectSteps(result);
    expect(result.completionTokens).toBe(result.completions.flat().reduce((sum, { tokens }) => sum + tokens.length, 0));
    // The server begins texts itself.
    expect([sent().at(-1)?.prompt].flat()[0]).toMatch(/^<\|start_header_id\|>/);
  });

  it('do not lose sight of which answer is whose where n is the number of prompts', async () => {
    for (const behaviour of [{ n: 'ignored' }, { n: 'ignored', usage: false }, { lists: 'first' }] as const) {
      const { sample } = await setup({ ...engineServer, ...behaviour });
      const { completions } = await sample({ n: 3 });
      for (const [at, list] of completions.entries()) {
        expect(list.map(({ text }) => text.includes(`of 2${at + 1}.`))).toEqual([true, true, true]);
      }
      expect(new Set(completions.flat().map(({ text }) => text)).size).toBe(9);
      await server.close();
    }
  });

  it('ask for no more than is missing', async () => {
    const { sample, sent } = await setup({ n: 'ignored' });
    const one = { prompts: prompts.slice(0, 1), n: 4 };
    expect((await sample(one)).completions[0]).toHaveLength(4);
    expect(sent()).toHaveLength(4);
    expect(server.requests.map(({ headers }) => headers['x-astroflow-call'])).toEqual(
      expect.arrayContaining(['search/k/p/1/expand', 'search/k/p/1/expand/more-1', 'search/k/p/1/expand/more-3']),
    );
    expect(new Set(sent().map(({ seed }) => seed)).size).toBe(4);
  });

  it('say once what is missing', async () => {
    const { sample, warnings } = await setup({ logprobs: 'ignored', tokenIds: false });
    await sample();
    await sample();
    expect(warnings.map((warning) => warning.replace(server.baseUrl, 'URL'))).toEqual([
      expect.stringMatching(/^the sampler \(policy\.sampler\) at URL answers without token ids/),
      expect.stringMatching(/answers without log-probabilities/),
    ]);
  });

  it('refuse to train on what is not exact', async () => {
    for (const behaviour of [{ logprobs: 'ignored' }, { tokenIds: false }] as const) {
      const { sample } = await setup(behaviour);
      await expect(sample({ logprobs: 'required' })).rejects.toMatchObject({ kind: 'fatal' });
      await expect(sample({ logprobs: 'required' })).rejects.toThrow(/reinforcement learning needs.*policy\.trainer/);
      await server.close();
    }
    const { sample, sent } = await setup({}, 'text');
    await expect(sample({ logprobs: 'required' })).rejects.toThrow(/sends text .*reinforcement learning/);
    expect(sent()).toHaveLength(0);
  });

  it('wait for a server that is busy inside a call of many requests', async () => {
    const { sample, sleeps } = await setup({ lists: 'refused', n: 'ignored' });
    await sample();
    server.fail({ status: 429, retryAfter: 2 }, { status: 503 });
    expectSteps(await sample({ callId: 'again' }));
    expect(sleeps.sort((a, b) => a - b)).toEqual([500, 2000]);
  });

  it('leave a call of one request to the caller, and many failures too', async () => {
    const { sample, sleeps } = await setup({ lists: 'refused' });
    server.fail({ status: 503 });
    await expect(sample()).rejects.toMatchObject({ kind: 'retryable', status: 503 });
    await sample();
    server.fail(...Array<Fault>(40).fill({ status: 500 }));
    await expect(sample()).rejects.toMatchObject({ kind: 'retryable' });
    expect(Math.max(...sleeps)).toBe(2000);
  });

  it('do not take a refusal of every prompt for one of lists', async () => {
    const { sample } = await setup(engineServer);
    server.fail(...Array<Fault>(40).fill({ status: 400, message: 'the prompt is too long' }));
    await expect(sample()).rejects.toMatchObject({ kind: 'fatal' });
    server.fail();
    expect((await sample({ callId: 'again' })).calls).toBe(1);
  });

  it('report an answer that breaks off as one to ask for again', async () => {
    const { sample } = await setup();
    server.fail({ cut: true });
    await expect(sample()).rejects.toMatchObject({ kind: 'retryable' });
  });

  it('need no tokenizer where bytes do', async () => {
    const { sample } = await setup(simpleServer, 'text');
    const bytes = createRenderer('bytes', 'plain');
    const sampler = openaiSampler({ baseUrl: server.baseUrl, timeoutMs: 5000, prompts: 'text' }, {}, bytes, {
      warn: () => {},
    });
    await sample();
    const { completions } = await sampler.sample(
      { ...request, prompts: [bytes.prompt([{ role: 'user', content: 'What is 7 + 21?' }])] },
      signal,
    );
    expect(completions[0]?.[0]?.text).toMatch(/^Step \d+ of 21\.\n\n$/);
    expect(completions[0]?.[0]?.tokens).toEqual([...Buffer.from(completions[0]?.[0]?.text ?? '')]);
  });
});
