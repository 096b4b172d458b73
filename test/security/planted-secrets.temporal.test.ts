import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, request as forward } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Payload } from '@temporalio/common';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Home, homeFrom } from '../../src/cli/home.ts';
import { ledgerCommand } from '../../src/cli/ledger.ts';
import { listCommand } from '../../src/cli/list.ts';
import { openPage } from '../../src/cli/page.ts';
import { packageRoot } from '../../src/cli/paths.ts';
import { reportCommand } from '../../src/cli/report.ts';
import { startRun } from '../../src/cli/start.ts';
import { statusCommand } from '../../src/cli/status.ts';
import { resolveCommand } from '../../src/cli/steer.ts';
import { treeCommand } from '../../src/cli/tree.ts';
import type { RunStatus } from '../../src/runs/status.ts';
import { createDataConverter } from '../../src/services/codec/data-converter.ts';
import { newCodecKey, parseCodecKeys } from '../../src/services/codec/keys.ts';
import { createPayloadCodec } from '../../src/services/codec/payload-codec.ts';
import { tokenizerRenderer } from '../../src/services/renderer/tokenizer.ts';
import { engineServer, type ModelServer, startModelServer } from '../support/model-server.ts';
import { type Pipeline, rootCause, shortRun, startPipeline } from '../support/pipeline.ts';
import { filesBelow, until } from '../support/watch.ts';
import { secretsIn } from './hidden.ts';

const planted = (name: string) => `${name}+/${randomBytes(18).toString('base64')}`;
const codecEntry = newCodecKey('planted');
const secrets = {
  samplerKey: planted('sk'),
  engineToken: planted('engine'),
  pageToken: planted('page'),
  trackerToken: planted('mlflow'),
  codecKey: codecEntry.split(':')[1] as string,
};
/** Typed into a configuration that somebody sends past our own commands. */
const typedIn = planted('typed');
const codec = parseCodecKeys(codecEntry, 'list');
const tokenizer = 'test/fixtures/chat/llama3';

let pipeline: Pipeline;
let home: Home;
let env: NodeJS.ProcessEnv;
let model: ModelServer;
/** How the server answers: as a model, or with what it was sent, as an error or a redirect. */
let mood: 'serve' | 'echo' | 'redirect' = 'echo';
let transient = 1;
let isEchoed = false;
let worker: ChildProcess;
let workerLog = '';
const front = createServer((request, response) => {
  const { authorization = '' } = request.headers;
  const echoing = mood !== 'serve' || transient-- > 0;
  if (!echoing) {
    const { hostname, port } = new URL(model.baseUrl);
    const { method, url: path, headers } = request;
    const onward = forward({ hostname, port, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    return void request.pipe(onward);
  }
  isEchoed ||= authorization.includes(secrets.samplerKey);
  const status = mood === 'redirect' ? 307 : mood === 'echo' ? 401 : 500;
  response.writeHead(status, {
    'content-type': 'application/json',
    ...(mood === 'redirect' && { location: `http://127.0.0.1:1/?key=${encodeURIComponent(authorization)}` }),
  });
  response.end(JSON.stringify({ error: { message: `you sent ${authorization}`, headers: request.headers } }));
});

beforeAll(async () => {
  const converter = createDataConverter(codec.keys);
  pipeline = await startPipeline(converter);
  home = homeFrom({ ASTROFLOW_HOME: pipeline.folder }, pipeline.folder);
  const renderer = tokenizerRenderer(tokenizer, 'chat');
  model = await startModelServer({
    write: (_, random) => `We add.\n\nThe answer is \\boxed{${4 + random.int(2)}}.`,
    renderer,
    behaviour: { ...engineServer, models: ['planted'], apiKey: secrets.samplerKey },
  });
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  env = {
    TEMPORAL_ADDRESS: pipeline.env.address,
    ASTROFLOW_HOME: pipeline.folder,
    PLANTED_URL: `http://127.0.0.1:${(front.address() as AddressInfo).port}`,
    PLANTED_KEY: secrets.samplerKey,
    ASTROFLOW_ENGINE_TOKEN: secrets.engineToken,
    ASTROFLOW_PAGE_TOKEN: secrets.pageToken,
    MLFLOW_TRACKING_TOKEN: secrets.trackerToken,
    ASTROFLOW_CODEC_KEYS: codecEntry,
  };
  const args = [join(packageRoot, 'bin', 'astroflow.js'), 'worker', '--grace', '0.5'];
  worker = spawn(process.execPath, args, { env: { ...process.env, ...env }, cwd: packageRoot, stdio: 'pipe' });
  for (const stream of [worker.stdout, worker.stderr])
    stream?.on('data', (chunk) => {
      workerLog += chunk;
    });
  await until(() => workerLog.includes('Worker on'));
});
afterAll(async () => {
  worker?.kill('SIGKILL');
  front.close().closeAllConnections();
  await model?.close();
  await pipeline?.close();
});

/** All that commands print. */
let printed = '';
beforeEach(() => {
  for (const method of ['log', 'error'] as const)
    vi.spyOn(console, method).mockImplementation((line: unknown) => {
      printed += `${line}\n`;
    });
});
afterEach(() => vi.restoreAllMocks());

async function statusOf(run: string): Promise<RunStatus> {
  const before = printed.length;
  await statusCommand(home, env, run, { json: true });
  return JSON.parse(printed.slice(before)) as RunStatus;
}

/** Every payload of a value opened, so that it can be searched. */
async function opened(value: unknown): Promise<unknown> {
  if (typeof value !== 'object' || value === null) return value;
  const { metadata, data } = value as { metadata?: Record<string, string>; data?: string };
  if (typeof metadata?.encoding === 'string') {
    const bytes = Object.entries(metadata).map(([name, text]) => [name, Buffer.from(text, 'base64')]);
    const payload: Payload = { metadata: Object.fromEntries(bytes), data: Buffer.from(data ?? '', 'base64') };
    const [plain] = await createPayloadCodec(codec.keys).decode([payload]);
    return Buffer.from(plain?.data ?? []).toString('utf8');
  }
  const parts = Object.entries(value).map(async ([name, part]) => [name, await opened(part)] as const);
  return Object.fromEntries(await Promise.all(parts));
}

async function historyOf(workflowId: string): Promise<string> {
  const json = historyToJSON(await pipeline.client.workflow.getHandle(workflowId).fetchHistory());
  return JSON.stringify(await opened(JSON.parse(json)));
}

const problems = (name: string, sums: string[]) => {
  const file = join(pipeline.folder, name);
  writeFileSync(file, sums.map((sum) => JSON.stringify({ problem: `What is ${sum}?`, answer: '4' })).join('\n'));
  return { file };
};
const documentOf = () => ({
  ...shortRun,
  task: { name: 'math' },
  search: { problems: problems('sums.jsonl', ['1+3', '2+2']), rounds: 2, childrenPerLeaf: 4 },
  linearize: { searchRowsPerTree: 1 },
  arms: ['direct'],
  evaluate: { ...shortRun.evaluate, benchmarks: { sums: problems('more-sums.jsonl', ['0+4', '9-5']) } },
  onFailure: 'ask',
  policy: {
    base: 'planted',
    tokenizer,
    template: 'chat',
    sampler: { kind: 'openai', baseUrl: { env: 'PLANTED_URL' }, apiKey: { env: 'PLANTED_KEY' } },
    trainer: null,
  },
  sft: undefined,
  rl: undefined,
});

describe('secrets that a worker has', () => {
  it('stand in no history, artifact, log, report, page or output, though a server repeats them', async () => {
    const places = new Map<string, string | Buffer>();
    const handle = await startRun(pipeline.client, {
      workflow: 'astroPipeline',
      run: 'planted',
      document: documentOf(),
    });
    const asks = async (word: string) => {
      let status = await statusOf('planted');
      await until(async () => {
        status = await statusOf('planted');
        return status.attention.some(({ why }) => why?.includes(word));
      });
    };
    await asks('you sent Bearer (key)');
    expect(isEchoed).toBe(true);
    const page = await openPage({ home, env, target: targetOf(), port: 0 });
    const authorization = `Bearer ${secrets.pageToken}`;
    const look = async (path: string, when: string) => {
      const response = await fetch(`${page.url}${path}`, { headers: { authorization } });
      expect([path, response.status]).toEqual([path, 200]);
      places.set(`page ${path} ${when}`, JSON.stringify([...response.headers]) + (await response.text()));
    };
    try {
      for (const path of ['/', '/runs.json', '/runs/planted/', '/runs/planted/stages']) await look(path, 'asking');
      places.set('page, refused', await (await fetch(`${page.url}/`, { headers: { accept: 'text/html' } })).text());
      await listCommand(home, env, {});
      const description = await handle.describe();
      places.set('describe, asking', JSON.stringify(await opened(JSON.parse(JSON.stringify(description.raw)))));

      mood = 'redirect';
      await resolveCommand(home, env, 'planted', 'retry');
      await asks('it redirects to http://127.0.0.1:1');
      mood = 'serve';
      await resolveCommand(home, env, 'planted', 'retry');
      await handle.result();
      for (const path of ['/', '/runs/planted/', '/runs/planted/figures', '/runs/planted/problems'])
        await look(path, 'done');
    } finally {
      await page.close();
    }
    await statusCommand(home, env, 'planted', {});
    await listCommand(home, env, { json: true });
    await reportCommand(home, 'planted', {});
    await treeCommand(home, 'planted', '0', {} as Parameters<typeof treeCommand>[3]);
    await ledgerCommand(home, env, 'planted', {});

    const ids: string[] = [];
    for await (const { workflowId } of pipeline.client.workflow.list()) ids.push(workflowId);
    expect(ids.length).toBeGreaterThan(5);
    for (const id of ids) places.set(`history of ${id}`, await historyOf(id));
    for (const [file, content] of await filesBelow(pipeline.folder)) places.set(file, content);
    places.set('what commands printed', printed);
    places.set("the worker's log", workerLog);
    expect([...places.keys()].filter((place) => /report\.html|rollout|tree\.json|\.parquet/.test(place))).not.toEqual(
      [],
    );
    expect(places.get('history of astro/planted')).toContain('PLANTED_KEY');
    expect(printed).toContain('you sent Bearer (key)');
    const found = [...places].flatMap(([place, content]) =>
      secretsIn(content, secrets).map((name) => `${name} in ${place}`),
    );
    expect(found).toEqual([]);
  });

  it('are refused by our commands when they are typed into a configuration, before they are sent', async () => {
    const document = documentOf();
    const typed = {
      ...document,
      policy: { ...document.policy, sampler: { ...document.policy.sampler, apiKey: typedIn } },
    };
    const started = startRun(pipeline.client, { workflow: 'astroPipeline', run: 'typed', document: typed });
    await expect(started).rejects.toThrow('The configuration holds secrets (policy.sampler.apiKey)');
    await expect(pipeline.client.workflow.getHandle('astro/typed').describe()).rejects.toThrow();
  });

  it('that somebody typed and sent by other means stand only where they were sent', async () => {
    const document = documentOf();
    const sampler = { ...document.policy.sampler, apiKey: typedIn };
    const handle = await pipeline.client.workflow.start('astroPipeline', {
      workflowId: 'astro/typed',
      taskQueue: 'astro',
      args: [{ ...document, policy: { ...document.policy, sampler } }],
    });
    expect(rootCause(await handle.result().catch((error) => error)).message).toContain(
      'policy.sampler.apiKey: a secret',
    );
    const { events } = JSON.parse(await historyOf('astro/typed')) as { events: Record<string, object> };
    const holders = Object.values(events).filter((event) => secretsIn(JSON.stringify(event), { typedIn }).length > 0);
    const types = holders.map((event) => (event as { eventType: string }).eventType);
    expect(types).toEqual(['EVENT_TYPE_WORKFLOW_EXECUTION_STARTED', 'EVENT_TYPE_ACTIVITY_TASK_SCHEDULED']);
    for (const [file, content] of await filesBelow(pipeline.folder))
      expect([file, secretsIn(content, { typedIn })]).toEqual([file, []]);
    expect(secretsIn(workerLog, { typedIn })).toEqual([]);
  });
});

function targetOf() {
  const { address } = pipeline.env;
  return {
    connectionOptions: { address },
    namespace: 'default',
    address,
    dataConverter: createDataConverter(codec.keys),
  };
}
