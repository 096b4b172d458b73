import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from 'tar';
import { createRandom, deriveSeed, type Random } from '../../src/core/seed.ts';
import type { Renderer } from '../../src/services/renderer/renderer.ts';
import { scriptedLogprob } from '../../src/services/scripted/sampler.ts';
import type {
  ForwardBackwardInput,
  ForwardBackwardOutput,
  SampleInput,
  SampleOutput,
} from '../../src/services/tinker/protocol.ts';

export interface TinkerServer {
  baseUrl: string;
  /** Optimiser steps applied to each live model, by its id. */
  steps: ReadonlyMap<string, number>;
  close(): Promise<void>;
}

interface Model {
  steps: number;
  nextSeqId: number;
}

/**
 * A training and sampling service on loopback that speaks the Tinker protocol and holds no model: `write` gives the
 * text that follows a prompt, models count their optimiser steps, and weights remember the count they were saved at.
 * It keeps the protocol's rules: dense `seq_id`s, loading first, names only once, text stops cut at a token's end.
 */
export async function startTinkerServer(options: {
  base: string;
  renderer: Renderer;
  /** @param steps optimiser steps behind the weights that answer; 0 for the base */
  write(prompt: string, random: Random, steps: number): string;
  /** By which the server describes itself; without one it does not. */
  title?: string;
}): Promise<TinkerServer> {
  const { base, renderer, write, title } = options;
  const models = new Map<string, Model>();
  const saved = new Map<string, number>();
  const results = new Map<string, unknown>();
  let issued = 0;

  function sample({ prompt, num_samples, sampling_params, model_path }: SampleInput): SampleOutput {
    const text = renderer.decode(prompt.chunks.flatMap((chunk) => (chunk.type === 'encoded_text' ? chunk.tokens : [])));
    const steps = model_path === undefined ? 0 : found(saved, model_path);
    const stops = (sampling_params.stop ?? []).filter((stop) => typeof stop === 'string');
    return {
      sequences: Array.from({ length: num_samples }, (_, index) => {
        const random = createRandom(deriveSeed('tinker-server', steps, text, sampling_params.seed ?? 0, index));
        const whole = [...renderer.encode(write(text, random, steps)), renderer.eosToken];
        const end = whole.findIndex((_, at) => {
          const sofar = renderer.decode(whole.slice(0, at + 1));
          return stops.some((stop) => sofar.includes(stop));
        });
        const tokens = (end < 0 ? whole : whole.slice(0, end + 1)).slice(0, sampling_params.max_tokens ?? 4096);
        const isCut = end < 0 ? tokens.length < whole.length : tokens.length < end + 1;
        return { tokens, logprobs: tokens.map(scriptedLogprob), stop_reason: isCut ? 'length' : 'stop' };
      }),
    };
  }

  function forwardBackward({ data }: ForwardBackwardInput): ForwardBackwardOutput {
    const logprobs = data.map(({ loss_fn_inputs: { target_tokens } }) =>
      (target_tokens?.data ?? []).map(scriptedLogprob),
    );
    const loss = -logprobs.flat().reduce((sum, value) => sum + value, 0);
    return {
      loss_fn_outputs: logprobs.map((values) => ({ logprobs: { data: values, dtype: 'float32' } })),
      metrics: { 'loss:sum': loss },
    };
  }

  function save(kind: string, modelId: string, name: string): { path: string } {
    const path = `tinker://${modelId}/${kind}/${name}`;
    if (saved.has(path)) throw new RangeError(`${path} exists`);
    saved.set(path, found(models, modelId).steps);
    return { path };
  }

  /** Sampler weights as a tar of a PEFT adapter's files, whose text says which weights they are. */
  function archive(path: string): Uint8Array {
    found(saved, path);
    const folder = mkdtempSync(join(tmpdir(), 'tinker-archive-'));
    const names = ['adapter_config.json', 'adapter_model.safetensors'];
    for (const name of names) writeFileSync(join(folder, name), JSON.stringify({ path }));
    const bytes = create({ cwd: folder, sync: true, portable: true }, names).read() as Uint8Array;
    rmSync(folder, { recursive: true });
    return bytes;
  }

  // biome-ignore lint/suspicious/noExplicitAny: bodies of many shapes, each used as the protocol defines it.
  const operations: Record<string, (body: any) => unknown> = {
    '/asample': sample,
    '/create_model': (body) => {
      if (body.base_model !== base) throw new RangeError(`no base model ${body.base_model}`);
      const model_id = `model-${++issued}`;
      models.set(model_id, { steps: 0, nextSeqId: 1 });
      return { model_id };
    },
    '/load_weights': (body) => {
      if (body.seq_id !== 1) throw new RangeError('weights can only be loaded first');
      found(models, body.model_id).steps = found(saved, body.path);
      return { path: body.path };
    },
    '/forward_backward': (body) => forwardBackward(body.forward_backward_input),
    '/optim_step': (body) => {
      found(models, body.model_id).steps += 1;
      return { metrics: {} };
    },
    '/save_weights': (body) => save('weights', body.model_id, body.path),
    '/save_weights_for_sampler': (body) => save('sampler_weights', body.model_id, body.path),
    '/unload_model': (body) => {
      models.delete(body.model_id);
      return {};
    },
  };

  // biome-ignore lint/suspicious/noExplicitAny: as above.
  function answer(path: string, body: any): { status: number; json: unknown } {
    if (path === '/healthz') return { status: 200, json: { status: 'ok' } };
    if (path === '/get_server_capabilities') {
      return { status: 200, json: { supported_models: [{ model_name: base }] } };
    }
    if (path === '/openapi.json' && title !== undefined) return { status: 200, json: { info: { title }, paths: {} } };
    if (path === '/create_session') return { status: 200, json: { session_id: `session-${++issued}` } };
    if (path === '/session_heartbeat') return { status: 200, json: {} };
    if (path === '/retrieve_future') {
      const result = results.get(body.request_id);
      return result === undefined ? { status: 404, json: {} } : { status: 200, json: result };
    }
    const operation = operations[path];
    if (operation === undefined) return { status: 404, json: { detail: 'Not Found' } };
    const request_id = `request-${++issued}`;
    try {
      if (typeof body.seq_id === 'number') {
        const model = found(models, body.model_id);
        if (body.seq_id !== model.nextSeqId) throw new RangeError(`seq_id ${body.seq_id}, not ${model.nextSeqId}`);
        model.nextSeqId += 1;
      }
      results.set(request_id, operation(body));
    } catch (error) {
      results.set(request_id, { error: (error as Error).message, category: 'user' });
    }
    return { status: 200, json: { request_id } };
  }

  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const path = (request.url ?? '').replace('/api/v1', '');
    const packed = /^\/training_runs\/([^/]+)\/checkpoints\/([^/]+)\/([^/]+)\/archive$/.exec(path);
    if (packed !== null) {
      response.writeHead(302, { location: `/download/${packed.slice(1).join('/')}` });
      return void response.end();
    }
    if (path.startsWith('/download/')) {
      response.writeHead(200, { 'content-type': 'application/x-tar' });
      return void response.end(archive(`tinker://${path.slice('/download/'.length)}`));
    }
    const { status, json } = answer(path, text === '' ? {} : JSON.parse(text));
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(json));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get steps() {
      return new Map([...models].map(([id, { steps }]) => [id, steps]));
    },
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function found<T>(map: ReadonlyMap<string, T>, key: string): T {
  const value = map.get(key);
  if (value === undefined) throw new RangeError(`there is no ${key}`);
  return value;
}
