import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { homeFrom } from '../../src/cli/home.ts';
import { startRun } from '../../src/cli/start.ts';
import { statusCommand } from '../../src/cli/status.ts';
import { pauseCommand, resolveCommand, resumeCommand } from '../../src/cli/steer.ts';
import { ServiceError } from '../../src/services/errors.ts';
import type { Sampler } from '../../src/services/sampler/sampler.ts';
import { type Pipeline, shortRun, startPipeline } from '../support/pipeline.ts';
import { until } from '../support/watch.ts';

let pipeline: Pipeline;
let folder: string;
beforeAll(async () => {
  pipeline = await startPipeline();
  folder = await mkdtemp(join(tmpdir(), 'astroflow-steer-'));
});
afterAll(async () => {
  await pipeline?.close();
  await rm(folder, { recursive: true, force: true });
});
const printed: string[] = [];
beforeEach(() => {
  vi.spyOn(console, 'log').mockImplementation((line: string) => void printed.push(line));
});
afterEach(() => vi.restoreAllMocks());

/** What `astroflow status` prints. */
async function status(env: NodeJS.ProcessEnv, run: string): Promise<string> {
  printed.length = 0;
  await statusCommand(homeFrom({}, folder), env, run);
  return printed.join('\n');
}

describe('pause, resume and resolve', () => {
  it('steer a run by its name, and status says what to type', async () => {
    const home = homeFrom({}, folder);
    const env = { TEMPORAL_ADDRESS: pipeline.env.address };
    let mended = false;
    const sampler = (real: Sampler): Sampler => ({
      ...real,
      sample: (request, signal) =>
        mended
          ? real.sample(request, signal)
          : Promise.reject(new ServiceError('fatal', 'no such model', { service: 'sampler' })),
    });
    await pipeline.withWorkers(
      async (taskQueue) => {
        const document = { ...shortRun, onFailure: 'ask', search: { ...shortRun.search, concurrency: 1 } };
        const handle = await startRun(pipeline.client, {
          workflow: 'astroPipeline',
          run: 'steered',
          document,
          taskQueue,
        });
        let shown = '';
        await until(async () => {
          shown = await status(env, 'steered');
          return shown.includes('needs attention since');
        });
        expect(shown).toContain('ServiceRefused: no such model');
        expect(shown).toContain('npx astroflow resolve steered retry  ');
        await expect(resolveCommand(home, env, 'steered', 'ignore')).rejects.toThrow(/none of retry, skip, abort/);

        expect(await pauseCommand(home, env, 'steered')).toBe(0);
        mended = true;
        expect(await resolveCommand(home, env, 'steered', 'retry')).toBe(0);
        await expect(resolveCommand(home, env, 'steered', 'retry')).rejects.toThrow(/refused: nothing is asked/);
        expect(await status(env, 'steered')).toContain('! paused; `npx astroflow resume steered` goes on');
        expect(await resumeCommand(home, env, 'steered')).toBe(0);
        await handle.result();
        await expect(pauseCommand(home, env, 'steered')).rejects.toThrow('astro/steered has ended.');
        await expect(pauseCommand(home, env, 'unknown')).rejects.toThrow(/knows no run astro\/unknown/);
      },
      { sampler },
    );
  });
});
