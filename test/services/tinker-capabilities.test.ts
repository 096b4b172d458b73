import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { detect } from '../../src/services/tinker/detect.ts';
import {
  connectTinker,
  HEARTBEAT_MS,
  keepAlive,
  knownServers,
  type TinkerOptions,
  tinkerClient,
  unknownServer,
} from '../../src/services/tinker/index.ts';
import { type TinkerDouble, tinkerDouble } from './tinker-double.ts';

let server: TinkerDouble;
const { signal } = new AbortController();

beforeEach(async () => {
  server = await tinkerDouble();
});
afterEach(() => server.close());

const connect = (options: Partial<TinkerOptions> = {}) =>
  connectTinker({ baseUrl: server.baseUrl, timeoutMs: 5000, ...options }, signal);
const models = { supported_models: [{ model_name: 'b' }] };

describe('what a server can', () => {
  it('is what it says itself, where it does', async () => {
    const said = {
      ...models,
      wire_formats: ['json', 'protobuf'],
      seq_id: 'deduplicates',
      loss_fns: ['cross_entropy'],
      full_finetune: true,
      lora: false,
    };
    server.answer('/get_server_capabilities', { json: said });
    server.answer('/client/config', { json: { create_model_via_load_weights: true } });
    const { can } = await connect();
    expect(can).toMatchObject({
      wire: 'json',
      seqDedupe: 'dedupe',
      losses: ['cross_entropy'],
      fullFinetune: true,
      lora: false,
      createByLoad: true,
    });
    expect(server.paths()).toEqual(['/get_server_capabilities', '/client/config']);
  });

  it.each([
    ['Tinker API Mock', knownServers.skyrl],
    ['TuFT', knownServers.tuft],
    ['Open-RL Server MVP', knownServers['open-rl']],
  ])('is known of %s', async (title, capabilities) => {
    server.answer('/get_server_capabilities', { json: models });
    server.answer('/client/config', { status: 404, json: { detail: 'Not Found' } });
    server.answer('/openapi.json', { json: { info: { title }, paths: {} } });
    expect((await connect()).can).toEqual(capabilities);
  });

  it('is known of the hosted service by its address', () => {
    const answers = { capabilities: models, config: {}, openapi: null };
    const baseUrl = 'https://tinker.thinkingmachines.dev/services/tinker-prod';
    expect(detect(baseUrl, answers)).toEqual(knownServers.hosted);
    expect(detect('https://thinkingmachines.dev.example.org', answers)).toEqual(unknownServer);
  });

  it.each([
    [['/api/v1/asample'], { forward: false, listCheckpoints: false, archive: 'none' }],
    [
      [
        '/api/v1/forward',
        '/api/v1/training_runs/{id}/checkpoints',
        '/api/v1/training_runs/{id}/checkpoints/{c}/archive',
      ],
      { forward: true, listCheckpoints: true, archive: 'name' },
    ],
    [['/api/v1/training_runs/{id}/checkpoints/{kind}/{name}/archive'], { archive: 'kind-and-name' }],
    [['/api/v1/training_runs/{id}/checkpoints/{c:path}/archive'], { archive: 'kind-and-name' }],
  ])('is seen in the paths of a server without a name: %j', async (paths, capabilities) => {
    server.answer('/get_server_capabilities', { json: models });
    const listed = Object.fromEntries(paths.map((path) => [path, {}]));
    server.answer('/openapi.json', { json: { info: { title: 'Another' }, paths: listed } });
    expect((await connect()).can).toMatchObject(capabilities);
  });

  it('is assumed carefully of one that says nothing', async () => {
    server.answer('/get_server_capabilities', { status: 404, json: { detail: 'Not Found' } });
    server.answer('/client/config', { status: 405 });
    server.answer('/openapi.json', { status: 404, text: 'no' });
    expect((await connect()).can).toEqual(unknownServer);
  });

  it('is what the configuration says, before all else', async () => {
    server.answer('/openapi.json', { json: { info: { title: 'TuFT' }, paths: {} } });
    const { can } = await connect({ capabilities: { wire: 'json' } });
    expect(can).toEqual({ ...knownServers.tuft, wire: 'json' });
  });

  it('is not guessed while nobody answers', async () => {
    server.answer('/get_server_capabilities', { status: 401, json: { detail: 'no key' } });
    await expect(connect()).rejects.toMatchObject({ kind: 'fatal', status: 401 });
  });
});

describe('limits of a server', () => {
  it('hold for a batch', async () => {
    const json = { fwdbwd_max_chunk_len: 3, fwdbwd_max_chunk_bytes_count: 900 };
    server.answer('/client/config', { json });
    expect((await connect()).limits).toEqual({ maxDatums: 3, maxBytes: 900 });
    expect((await connect({ limits: { maxDatums: 1 } })).limits).toEqual({ maxDatums: 1, maxBytes: 900 });
  });
});

describe('a session', () => {
  const client = (heartbeatReap: 'silent' | 'beaten' | 'none') =>
    tinkerClient({ baseUrl: server.baseUrl, timeoutMs: 5000, capabilities: { heartbeatReap } });
  const beats = () => server.requests.filter(({ path }) => path === '/session_heartbeat').length;

  beforeEach(() => vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }));
  afterEach(() => vi.useRealTimers());

  it.each(['silent', 'beaten'] as const)(
    'is kept alive where the server ends any, until it is stopped (%s)',
    async (reap) => {
      const stop = keepAlive(client(reap), 's', () => {});
      vi.advanceTimersByTime(2 * HEARTBEAT_MS);
      await vi.waitFor(() => expect(beats()).toBe(2));
      expect(server.requests[0]?.body).toEqual({ session_id: 's', type: 'session_heartbeat' });
      stop();
      vi.advanceTimersByTime(HEARTBEAT_MS);
      expect(vi.getTimerCount()).toBe(0);
    },
  );

  it('that lives on anyway is left alone', () => {
    keepAlive(client('none'), 's', () => {});
    expect(vi.getTimerCount()).toBe(0);
  });

  it('that the server has forgotten is reported once, and trouble in between is not', async () => {
    server.answer('/session_heartbeat', { status: 500 }, { status: 404, json: { detail: 'Session s not found' } });
    let gone = 0;
    keepAlive(client('silent'), 's', () => {
      gone += 1;
    });
    vi.advanceTimersByTime(HEARTBEAT_MS);
    await vi.waitFor(() => expect(beats()).toBe(1));
    expect(gone).toBe(0);
    vi.advanceTimersByTime(HEARTBEAT_MS);
    await vi.waitFor(() => expect(gone).toBe(1));
    expect(vi.getTimerCount()).toBe(0);
  });
});
