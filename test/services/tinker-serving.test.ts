import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tinkerClient } from '../../src/services/tinker/client.ts';
import { type SampleOutput, servingModels, type TinkerClient, TinkerError } from '../../src/services/tinker/index.ts';
import { fakeTime, type TinkerDouble, tinkerDouble } from './tinker-double.ts';

/** Weights that a server samples only through a loaded model. */

const { signal } = new AbortController();
const future = '/retrieve_future';
const weights = (name: string) => `tinker://run/sampler_weights/${name}`;
const gone = { json: { error: 'Model m not loaded', category: 'user' } };

let server: TinkerDouble;
let client: TinkerClient;
let made: number;

beforeEach(async () => {
  server = await tinkerDouble();
  client = tinkerClient({ baseUrl: server.baseUrl, timeoutMs: 5000, ...fakeTime() });
  server.answer('/create_session', { json: { session_id: 's' } });
  server.answer('/weights_info', { json: { base_model: 'b', is_lora: true, lora_rank: 8 } });
  made = 0;
});
afterEach(() => server.close());

const bodies = (path: string) => server.requests.filter((request) => request.path === path).map(({ body }) => body);
/** What is answered to one model after the other: it is made, loaded, saved. */
const answers = (...names: string[]) =>
  names.flatMap((name) => {
    made += 1;
    const path = `tinker://m${made}/${name}`;
    return [{ json: { model_id: `m${made}` } }, { json: { type: 'load_weights' } }, { json: { path } }];
  });
const ask = (paths: string[]) => async (path: string) => {
  paths.push(path);
  return { sequences: [] } as SampleOutput;
};

describe('weights are served', () => {
  it('by a model of their own, made from the state of the same name, of its rank, in one session', async () => {
    server.answer(future, ...answers('a', 'b'));
    const paths: string[] = [];
    const serving = servingModels(client);
    for (const name of ['a', 'b', 'a']) await serving.through(weights(name), ask(paths), signal);
    expect(paths).toEqual(['m1/sampler_weights/a', 'm2/sampler_weights/b', 'm1/sampler_weights/a'].map(tinker));
    expect(bodies('/create_session')).toHaveLength(1);
    expect(bodies('/create_model')).toMatchObject([
      { session_id: 's', model_seq_id: 0, base_model: 'b', lora_config: { rank: 8 } },
      { model_seq_id: 1 },
    ]);
    expect(bodies('/load_weights')[0]).toMatchObject({ path: 'tinker://run/weights/a', optimizer: false });
  });

  it('by one model to all who ask at once', async () => {
    server.answer(future, ...answers('a'));
    const paths: string[] = [];
    const serving = servingModels(client);
    await Promise.all([1, 2, 3].map(() => serving.through(weights('a'), ask(paths), signal)));
    expect(paths).toEqual(new Array(3).fill(tinker('m1/sampler_weights/a')));
    expect(bodies('/create_model')).toHaveLength(1);
  });

  it('by a new model once the old one is gone', async () => {
    server.answer(future, ...answers('a'), gone, ...answers('a'));
    const paths: string[] = [];
    const serving = servingModels(client);
    const prompt = { chunks: [] };
    await serving.through(
      weights('a'),
      async (path) => {
        paths.push(path);
        if (paths.length > 1) return;
        await (await client.sample({ model_path: path, prompt, num_samples: 1, sampling_params: {} }, signal)).result();
      },
      signal,
    );
    expect(paths).toEqual(['m1/sampler_weights/a', 'm2/sampler_weights/a'].map(tinker));
  });

  it('not at all when their state is gone', async () => {
    server.answer('/weights_info', { status: 404, json: { detail: 'Checkpoint not found' } });
    const lost = servingModels(client).through(weights('a'), ask([]), signal);
    await expect(lost).rejects.toMatchObject({ kind: 'lost' });
    expect(bodies('/create_model')).toEqual([]);
  });
});

describe('a server that is full of models', () => {
  const full = { json: { error: 'Maximum number of LoRA adapters (2) reached', category: 'user' } };

  it('is given back the model that was not used for longest', async () => {
    server.answer(future, ...answers('a', 'b'), full, { json: {} }, ...answers('c'));
    const serving = servingModels(client);
    for (const name of ['a', 'b', 'b', 'c']) await serving.through(weights(name), ask([]), signal);
    expect(bodies('/unload_model')).toMatchObject([{ model_id: 'm1' }]);
  });

  it('is not given back one that is in use', async () => {
    server.answer(future, ...answers('a'), full);
    const serving = servingModels(client);
    const paused = serving.through(weights('a'), () => serving.through(weights('b'), ask([]), signal), signal);
    await expect(paused).rejects.toSatisfy((error) => error instanceof TinkerError && error.kind === 'paused');
    expect(bodies('/unload_model')).toEqual([]);
  });

  it('is not filled by one process: from the fifth on, one that is idle goes first', async () => {
    const names = ['a', 'b', 'c', 'd'];
    server.answer(future, ...answers(...names), { json: {} }, ...answers('e'));
    const serving = servingModels(client);
    for (const name of [...names, 'e']) await serving.through(weights(name), ask([]), signal);
    expect(bodies('/unload_model')).toMatchObject([{ model_id: 'm1' }]);
  });
});

function tinker(path: string): string {
  return `tinker://${path}`;
}
