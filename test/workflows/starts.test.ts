import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { temporalBinary } from '../../src/cli/paths.ts';
import type { RunConfigInput } from '../../src/config/schema.ts';
import { type Pipeline, rootCause, shortRun, startPipeline } from '../support/pipeline.ts';

let pipeline: Pipeline;
let folder: string;
beforeAll(async () => {
  pipeline = await startPipeline();
  folder = await mkdtemp(join(tmpdir(), 'astroflow-starts-'));
});
afterAll(async () => {
  await pipeline?.close();
  await rm(folder, { recursive: true, force: true });
});

const resultOf = (workflowId: string) => pipeline.client.workflow.getHandle(workflowId).result();

/** A file as a person would write it. */
async function file(name: string, config: object): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, JSON.stringify(config, null, 2));
  return path;
}

const config: RunConfigInput = { ...shortRun, evaluate: { ...shortRun.evaluate, bootstrapSamples: 100 } };

describe('the temporal command', () => {
  const temporal = async (...args: string[]) => {
    const run = promisify(execFile);
    return run(temporalBinary(), ['workflow', ...args, '--address', pipeline.env.address]);
  };

  it('starts the pipeline with a configuration file', async () => {
    await pipeline.withWorkers(async (queue) => {
      const id = 'astro/cli';
      const input = await file('run.json', config);
      await temporal('start', '--type', 'astroPipeline', '-t', queue, '--workflow-id', id, '--input-file', input);
      expect(await resultOf(id)).toMatchObject({ run: 'cli', summary: 'runs/cli/summary.json' });
    });
  });

  it('starts a stage with one argument typed by hand, and waits for it', async () => {
    await pipeline.withWorkers(async (queue) => {
      const input = JSON.stringify({ ...config, problem: 2 });
      const args = [
        'execute',
        '--type',
        'searchProblem',
        '-t',
        queue,
        '--workflow-id',
        'astro/cli/2',
        '--input',
        input,
      ];
      expect((await temporal(...args)).stdout).toContain('"finished":true');
    });
  });

  it('shows what is wrong with a configuration', async () => {
    await pipeline.withWorkers(async (queue) => {
      const input = await file('wrong.json', { search: { rounds: -1 }, bogus: 1 });
      const args = ['--type', 'astroPipeline', '-t', queue, '--workflow-id', 'astro/cli-wrong', '--input-file', input];
      const { stdout } = await temporal('execute', ...args).catch((error: { stdout: string }) => error);
      expect(stdout).toContain('search.rounds');
      expect(stdout).toContain('bogus: unknown field');
    });
  });
});

describe('a plain start request', () => {
  /** What `tctl workflow start` and the UI's form send: names, a queue, and JSON, nothing of an SDK. */
  async function request(workflowId: string, queue: string, type: string, input?: object, extra: object = {}) {
    const { workflowService } = pipeline.client;
    await workflowService.startWorkflowExecution({
      namespace: 'default',
      workflowId,
      workflowType: { name: type },
      taskQueue: { name: queue },
      requestId: workflowId,
      identity: 'tctl@somewhere',
      ...(input && {
        input: {
          payloads: [{ metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from(JSON.stringify(input)) }],
        },
      }),
      ...extra,
    });
  }

  it('as tctl sends it starts the pipeline', async () => {
    await pipeline.withWorkers(async (queue) => {
      const timeouts = { workflowExecutionTimeout: { seconds: 3600 }, workflowTaskTimeout: { seconds: 10 } };
      await request('astro/tctl', queue, 'astroPipeline', config, timeouts);
      expect(await resultOf('astro/tctl')).toMatchObject({ run: 'tctl' });
    });
  });

  it('as the UI’s form sends it starts a stage', async () => {
    await pipeline.withWorkers(async (queue) => {
      const json = (text: string) => ({
        metadata: { encoding: Buffer.from('json/plain') },
        data: Buffer.from(JSON.stringify(text)),
      });
      const userMetadata = { summary: json('by hand'), details: json('') };
      await request('My first run!', queue, 'searchCorpus', { ...config, salt: 'form' }, { userMetadata });
      expect(await resultOf('My first run!')).toMatchObject({ stage: 'search', trees: { trees: 4 } });
    });
  });

  it('without any input runs on the defaults', async () => {
    await pipeline.withWorkers(async (queue) => {
      // The default configuration is the demo's; its first stage that needs another says so without calling a model.
      await request('astro/no-input', queue, 'linearizeCorpus');
      const cause = rootCause(await resultOf('astro/no-input').catch((error: unknown) => error));
      expect(cause).toMatchObject({ type: 'MissingInput', message: expect.stringContaining('"searchCorpus"') });
    });
  });
});
