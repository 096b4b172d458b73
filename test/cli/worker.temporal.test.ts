import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect as connectSocket, createServer as createRelay, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/cli/paths.ts';
import { choosePort } from '../../src/cli/ports.ts';
import { tokenizerRenderer } from '../../src/services/renderer/tokenizer.ts';
import { engineServer, type ModelServer, startModelServer } from '../support/model-server.ts';
import { type Pipeline, startPipeline } from '../support/pipeline.ts';

const tokenizer = 'test/fixtures/chat/llama3';
let pipeline: Pipeline;
let server: ModelServer;
const children: ChildProcess[] = [];
beforeAll(async () => {
  pipeline = await startPipeline();
  const renderer = tokenizerRenderer(tokenizer, 'chat');
  server = await startModelServer({ write: () => 'I give up.', renderer, behaviour: engineServer });
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});
afterAll(async () => {
  await server?.close();
  await pipeline?.close();
});

/** `astroflow worker` as an operator starts it; resolves when it serves its queues. */
async function startWorker(taskQueue: string, variables: NodeJS.ProcessEnv = {}) {
  const args = [join(packageRoot, 'bin', 'astroflow.js'), 'worker', '--task-queue', taskQueue, '--grace', '0.5'];
  const env = { ...process.env, TEMPORAL_ADDRESS: pipeline.env.address, ASTROFLOW_HOME: pipeline.folder, ...variables };
  const child = spawn(process.execPath, args, { cwd: packageRoot, env, stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  let printed = '';
  const ended = once(child, 'exit');
  const ready = new Promise<void>((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        printed += chunk;
        if (printed.includes('Worker on')) resolve();
      });
    }
  });
  const early = ended.then(() => {
    if (!printed.includes('Worker on')) throw new Error(`the worker did not start:\n${printed}`);
  });
  await Promise.race([ready, early]);
  return {
    async terminate() {
      child.kill('SIGTERM');
      const [code, signal] = await ended;
      return { code, signal, printed };
    },
  };
}

/** A way to the dev server that a test can cut. */
async function wayToServer() {
  const [host, port] = pipeline.env.address.split(':');
  const open = new Set<Socket>();
  const relay = createRelay((near) => {
    const far = connectSocket(Number(port), host);
    for (const [socket, other] of [[near, far] as const, [far, near] as const]) {
      open.add(socket);
      socket.on('error', () => other.destroy());
      socket.pipe(other);
    }
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  return {
    address: `127.0.0.1:${(relay.address() as AddressInfo).port}`,
    cut() {
      relay.close();
      for (const socket of open) socket.destroy();
    },
  };
}

describe('astroflow worker', () => {
  it('says at /healthz that it is well, and why when it has lost the server', async () => {
    const way = await wayToServer();
    const health = `127.0.0.1:${await choosePort()}`;
    await startWorker('health', { TEMPORAL_ADDRESS: way.address, ASTROFLOW_HEALTH_ADDRESS: health });
    const ask = async () => {
      const response = await fetch(`http://${health}/healthz`);
      return { status: response.status, text: await response.text() };
    };
    expect(await ask()).toEqual({ status: 200, text: 'ok\n' });
    way.cut();
    expect(await ask()).toEqual({ status: 503, text: expect.stringContaining('the Temporal server does not answer') });
  });

  it('does not start when its health cannot be asked for where it should be', async () => {
    const start = startWorker('unhealthy', { ASTROFLOW_HEALTH_ADDRESS: 'everywhere' });
    await expect(start).rejects.toThrow('ASTROFLOW_HEALTH_ADDRESS: "everywhere" is no host:port');
  });

  it('ends on SIGTERM with a call in flight: closes its request and hands it over', async () => {
    const taskQueue = 'sigterm';
    server.fail({ hang: true });
    const first = await startWorker(taskQueue);
    const handle = await pipeline.client.workflow.start('searchProblem', {
      args: [
        {
          policy: {
            base: 'model',
            tokenizer,
            template: 'chat',
            sampler: { kind: 'openai', baseUrl: server.baseUrl },
            trainer: null,
          },
          search: { problems: { split: 'train', count: 1 }, rounds: 1 },
          problem: 0,
        },
      ],
      workflowId: 'astro/sigterm/0',
      taskQueue,
    });
    await server.until(() => server.requests.length === 1);
    const { code, signal, printed } = await first.terminate();
    expect([code, signal]).toEqual([0, null]);
    expect(printed).toContain('Finishing what ends within 0.5 s, handing over the rest');
    expect(server.abandoned()).toBe(1);

    const second = await startWorker(taskQueue);
    expect(await handle.result()).toMatchObject({ finished: true });
    await second.terminate();
    const [lost, again] = server.requests;
    expect(again?.body).toEqual(lost?.body);
    expect([lost, again].map((request) => request?.headers['x-astroflow-attempt'])).toEqual(['1', '2']);
  });
});
