import { afterEach, describe, expect, it } from 'vitest';
import { type PolicyConfig, runConfigSchema } from '../../src/config/schema.ts';
import { createServices, openServices } from '../../src/services/index.ts';
import { tokenizerRenderer } from '../../src/services/renderer/tokenizer.ts';
import { openaiChatModel } from '../../src/services/text-model/openai-chat.ts';
import type { TextRequest } from '../../src/services/text-model/text-model.ts';
import { type ModelServer, type ServerBehaviour, startModelServer } from '../support/model-server.ts';

const folder = 'test/fixtures/chat/chatml';
const renderer = tokenizerRenderer(folder, 'chat');
const { signal } = new AbortController();
const request: TextRequest = {
  callId: 'linearize/k/judge/3',
  attempt: 2,
  messages: [{ role: 'user', content: 'Is 7 + 21 = 28?' }],
  n: 3,
  maxTokens: 50,
  temperature: 1,
  seed: 4,
};

let server: ModelServer;
afterEach(() => server.close());

async function setup(behaviour: Partial<ServerBehaviour> = {}) {
  server = await startModelServer({
    write: (prompt, random) =>
      `${prompt.includes('<|im_start|>user\nIs 7 + 21') ? 'Yes' : 'What'} ${random.int(1_000_000)}`,
    renderer,
    behaviour,
  });
  const sleeps: number[] = [];
  const config = { baseUrl: server.baseUrl, apiKey: 'key', timeoutMs: 5000, model: 'model' };
  const model = openaiChatModel(config, {}, { sleep: async (ms) => sleeps.push(ms) });
  return { model, ask: (change: Partial<TextRequest> = {}) => model.ask({ ...request, ...change }, signal), sleeps };
}

describe('a chat model', () => {
  it('gives as many answers as asked, and says what they cost', async () => {
    const { model, ask } = await setup({ apiKey: 'key' });
    const { texts, usage } = await ask();
    expect(model.name).toBe('model');
    expect(texts).toHaveLength(3);
    for (const { text, stopReason } of texts)
      expect([text, stopReason]).toEqual([expect.stringMatching(/^Yes \d+$/), 'stop']);
    expect(usage).toMatchObject({ calls: 1, promptTokens: renderer.prompt(request.messages).tokens.length });
    expect(server.requests[0]).toMatchObject({
      path: '/v1/chat/completions',
      headers: { 'x-astroflow-call': request.callId, 'x-astroflow-attempt': '2' },
      body: { model: 'model', messages: request.messages, n: 3, max_tokens: 50, temperature: 1, top_p: 1, seed: 4 },
    });
    expect((await ask({ maxTokens: 2 })).texts[0]?.stopReason).toBe('length');
  });

  it.each([
    ['ignores', 'ignored'],
    ['refuses', 'refused'],
  ] as const)('asks a server that %s n again', async (_what, n) => {
    const { ask, sleeps } = await setup({ n });
    const { texts, usage } = await ask();
    expect(new Set(texts.map(({ text }) => text)).size).toBe(3);
    expect(usage.calls).toBe(3);
    expect(server.requests.slice(-3).map(({ headers }) => headers['x-astroflow-call'])).toEqual(
      expect.arrayContaining(['linearize/k/judge/3/more-1', 'linearize/k/judge/3/more-2']),
    );
    expect((await ask()).texts).toEqual(texts);
    expect(sleeps).toEqual([]);
  });

  it('estimates what a server does not count', async () => {
    const { ask } = await setup({ usage: false, n: 'ignored' });
    const { texts, usage } = await ask();
    const characters = texts.reduce((sum, { text }) => sum + text.length, 0);
    expect(usage).toEqual({
      calls: 3,
      promptTokens: Math.ceil((3 * 15) / 4),
      completionTokens: Math.ceil(characters / 4),
    });
  });

  it('knows both names of the limit', async () => {
    const { ask } = await setup();
    server.fail({ status: 400, message: "Unsupported parameter: use 'max_completion_tokens' instead." });
    await ask();
    await ask();
    expect(server.requests.slice(1).map(({ body }) => [body.max_tokens, body.max_completion_tokens])).toEqual([
      [undefined, 50],
      [undefined, 50],
    ]);
  });

  it('fails as a sampler does', async () => {
    const { ask } = await setup();
    server.fail({ status: 429, retryAfter: 3 }, { status: 400, message: 'too long' }, { cut: true });
    await expect(ask()).rejects.toMatchObject({ kind: 'retryable', retryAfterMs: 3000 });
    await expect(ask()).rejects.toMatchObject({
      kind: 'fatal',
      message: expect.stringMatching(/the model model \(roles\).*too long/),
    });
    await expect(ask()).rejects.toMatchObject({ kind: 'retryable' });
    await server.close();
    await expect(ask()).rejects.toMatchObject({ kind: 'retryable' });
    server = await startModelServer({ write: () => '', renderer });
  });

  it('keeps no journal, unless its server does', async () => {
    const { model } = await setup();
    expect(await model.served('linearize/', signal)).toBeNull();
  });
});

describe("a policy's services", () => {
  it('fill a role with each kind of model', async () => {
    await setup();
    const sampler = { kind: 'openai', baseUrl: server.baseUrl };
    const policy: PolicyConfig = runConfigSchema.parse({
      policy: { base: 'model', tokenizer: folder, template: 'chat', sampler, trainer: null },
    }).policy;
    const { textModel } = createServices(policy, {});
    const chat = { kind: 'openai-chat', model: 'model', baseUrl: server.baseUrl, timeoutMs: 5000 } as const;
    for (const role of [{ kind: 'policy' } as const, chat]) {
      expect((await textModel(role).ask(request, signal)).texts[0]?.text).toMatch(/^Yes \d+$/);
    }
    expect(server.requests.map(({ path }) => path)).toEqual(['/v1/completions', '/v1/chat/completions']);
    expect(textModel({ kind: 'scripted' }).name).toBe('scripted');
  });

  it('send to one address through one gate, whatever the policy or the role', async () => {
    await setup();
    const sampler = { kind: 'openai', baseUrl: server.baseUrl, maxConcurrency: 4 };
    const said: string[] = [];
    const services = openServices({}, (message) => said.push(message));
    const [one, other] = ['a', 'b'].map((revision) =>
      services(
        runConfigSchema.parse({
          policy: { base: 'model', revision, tokenizer: folder, template: 'chat', sampler, trainer: null },
        }).policy,
      ),
    );
    const chat = { kind: 'openai-chat', model: 'model', baseUrl: `${server.baseUrl}/v1`, timeoutMs: 5000 } as const;
    const models = [one?.textModel({ kind: 'policy' }), other?.textModel({ kind: 'policy' }), one?.textModel(chat)];
    for (const model of models) await model?.ask(request, signal);
    server.fail({ status: 503 });
    await expect(models[0]?.ask(request, signal)).rejects.toMatchObject({ status: 503 });
    const load = { limit: 1, inFlight: 0, waiting: 0, paused: false };
    expect(models.map((model) => model?.load?.())).toEqual([load, load, load]);
    expect(said).toEqual([`${server.baseUrl} is overloaded: requests at once reduced from 4 to 1`]);
  });
});
