import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Home, homeFrom } from '../../../src/cli/home.ts';
import { temporalBinary } from '../../../src/cli/paths.ts';
import { startRun } from '../../../src/cli/start.ts';
import { statusCommand } from '../../../src/cli/status.ts';
import type { RunStatus } from '../../../src/runs/status.ts';
import { type CodecServer, startCodecServer } from '../../../src/services/codec/codec-server.ts';
import { createDataConverter } from '../../../src/services/codec/data-converter.ts';
import { newCodecKey, parseCodecKeys } from '../../../src/services/codec/keys.ts';
import { encryptedEncoding } from '../../../src/services/codec/payload-codec.ts';
import { type Pipeline, rootCause, shortRun, startPipeline } from '../../support/pipeline.ts';

const list = newCodecKey('old');
const { keys } = parseCodecKeys(list, 'list');
const converter = createDataConverter(keys);
const run = promisify(execFile);

let pipeline: Pipeline;
let home: Home;
let codec: CodecServer;
beforeAll(async () => {
  pipeline = await startPipeline(converter);
  home = { ...homeFrom({}, pipeline.folder), artifacts: pipeline.folder };
  codec = await startCodecServer({ keys, host: '127.0.0.1', port: 0, origins: [] });
});
afterAll(async () => {
  await codec?.close();
  await pipeline?.close();
});
afterEach(() => vi.restoreAllMocks());

const temporal = async (...args: string[]) =>
  (await run(temporalBinary(), [...args, '--address', pipeline.env.address, '--output', 'json'], { maxBuffer: 1e8 }))
    .stdout;

interface Found {
  path: string;
  encoding: string;
  text: string;
}

/** Every payload of a value, wherever it stands. */
function payloadsIn(value: unknown, path = ''): Found[] {
  if (typeof value !== 'object' || value === null) return [];
  const { metadata, data } = value as { metadata?: { encoding?: string }; data?: string };
  const decode = (text = '') => Buffer.from(text, 'base64').toString('utf8');
  if (typeof metadata?.encoding === 'string')
    return [{ path, encoding: decode(metadata.encoding), text: decode(data) }];
  return Object.entries(value).flatMap(([name, part]) => payloadsIn(part, `${path}/${name}`));
}

const textsOf = (json: string) =>
  payloadsIn(JSON.parse(json))
    .map(({ text }) => text)
    .join('\n');

async function historyOf(workflowId: string): Promise<string> {
  return historyToJSON(await pipeline.client.workflow.getHandle(workflowId).fetchHistory());
}

/** Input that could not be told apart by accident. */
const benchmark = 'a-private-name';
const document = {
  ...shortRun,
  evaluate: { ...shortRun.evaluate, benchmarks: { [benchmark]: shortRun.evaluate.benchmarks['new-numbers'] } },
};
const taskQueue = 'test-sealed';

describe('a run with codec keys', () => {
  it('leaves no plain payload in any history but search attributes, and the CLI shows them by the codec server', async () => {
    await pipeline.withWorkers(
      async () => {
        const handle = await startRun(pipeline.client, {
          workflow: 'astroPipeline',
          run: 'sealed',
          document,
          taskQueue,
        });
        await handle.result();
        const ids: string[] = [];
        for await (const { workflowId } of pipeline.client.workflow.list()) ids.push(workflowId);
        expect(ids.length).toBeGreaterThan(5);
        const found = (await Promise.all(ids.map(historyOf))).flatMap((json) => payloadsIn(JSON.parse(json)));
        expect(found.length).toBeGreaterThan(50);
        const plain = found.filter(({ encoding }) => encoding !== encryptedEncoding);
        expect([...new Set(plain.map(({ path }) => path.replace(/\d+/, 'N')))]).toEqual([]);
        const described = payloadsIn(
          JSON.parse(await temporal('workflow', 'describe', '--workflow-id', 'astro/sealed')),
        );
        expect(described.map(({ path }) => path)).toContain('/executionConfig/userMetadata/summary');
        const open = described.filter(({ encoding }) => encoding !== encryptedEncoding).map(({ path }) => path);
        expect(open).toEqual(['/workflowExecutionInfo/searchAttributes/indexedFields/BuildIds']);

        const details = ['workflow', 'metadata', '--workflow-id', 'astro/sealed'];
        expect(textsOf(await temporal(...details))).not.toContain('searchCorpus');
        expect(await temporal(...details, '--codec-endpoint', codec.url)).toContain('search');
        const show = ['workflow', 'show', '--workflow-id', 'astro/sealed'];
        const sealed = textsOf(await temporal(...show));
        const opened = textsOf(await temporal(...show, '--codec-endpoint', codec.url));
        expect(sealed).not.toContain(benchmark);
        expect(opened).toContain(benchmark);
      },
      {},
      taskQueue,
    );
  });

  it('takes plain JSON that somebody starts it with, and tells its failure to those who have the key only', async () => {
    await pipeline.withWorkers(
      async () => {
        const file = join(pipeline.folder, 'plain.json');
        await writeFile(file, JSON.stringify({ ...shortRun, seed: 'a private mistake' }));
        const id = ['--workflow-id', 'astro/plain'];
        await temporal(
          'workflow',
          'start',
          '--type',
          'astroPipeline',
          '--task-queue',
          taskQueue,
          '--input-file',
          file,
          ...id,
        );
        const failed = await pipeline.client.workflow
          .getHandle('astro/plain')
          .result()
          .catch((error) => rootCause(error));
        expect(failed).toMatchObject({ type: 'InvalidConfig', message: expect.stringContaining('seed') });
        const events = JSON.parse(await historyOf('astro/plain')).events as { eventType: string }[];
        const text = JSON.stringify(events.slice(1));
        expect(text).toContain('Encoded failure');
        expect(text).not.toContain('seed');
        expect(text).not.toContain('.ts:');
      },
      {},
      taskQueue,
    );
  });

  it('is looked at by commands that have the keys, also after they were changed', async () => {
    const printed: string[] = [];
    vi.spyOn(console, 'log').mockImplementation((line: string) => void printed.push(line));
    const env = { TEMPORAL_ADDRESS: pipeline.env.address, ASTROFLOW_CODEC_KEYS: `${newCodecKey('new')},${list}` };
    await pipeline.withWorkers(
      async () => {
        await statusCommand(home, env, 'sealed', { json: true });
      },
      {},
      taskQueue,
    );
    expect(JSON.parse(printed.join('')) as RunStatus).toMatchObject({ run: 'sealed', status: 'completed' });
  });

  it('stays closed to a client without keys, which says what to set', async () => {
    const bare = new Client({ connection: pipeline.env.connection, dataConverter: createDataConverter([]) });
    await expect(bare.workflow.getHandle('astro/sealed').result()).rejects.toThrow(
      'a payload is encrypted with key "old": set ASTROFLOW_CODEC_KEYS',
    );
  });
});
