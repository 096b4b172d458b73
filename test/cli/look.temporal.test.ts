import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Home, homeFrom } from '../../src/cli/home.ts';
import { listCommand } from '../../src/cli/list.ts';
import { startRun } from '../../src/cli/start.ts';
import { statusCommand } from '../../src/cli/status.ts';
import { traceCommand } from '../../src/cli/trace.ts';
import { treeCommand } from '../../src/cli/tree.ts';
import { watchCommand } from '../../src/cli/watch.ts';
import type { RunStatus } from '../../src/runs/status.ts';
import { closedSampler } from '../support/closed-sampler.ts';
import { type Pipeline, shortRun, startPipeline } from '../support/pipeline.ts';
import { until } from '../support/watch.ts';

let pipeline: Pipeline;
let home: Home;
let env: NodeJS.ProcessEnv;
/** Nobody listens there. */
const away = { TEMPORAL_ADDRESS: '127.0.0.1:1' };
beforeAll(async () => {
  pipeline = await startPipeline();
  home = { ...homeFrom({}, pipeline.folder), artifacts: pipeline.folder };
  env = { TEMPORAL_ADDRESS: pipeline.env.address };
});
afterAll(() => pipeline?.close());
const printed: string[] = [];
beforeEach(() => {
  printed.length = 0;
  vi.spyOn(console, 'log').mockImplementation((line: string) => void printed.push(line));
});
afterEach(() => vi.restoreAllMocks());

/** What a command prints, and its exit code. */
async function said(command: Promise<number>): Promise<{ code: number; text: string; lines: string[] }> {
  printed.length = 0;
  const code = await command;
  return { code, text: printed.join('\n'), lines: [...printed] };
}
const statusOf = async (surroundings: NodeJS.ProcessEnv) =>
  JSON.parse((await said(statusCommand(home, surroundings, 'looked', { json: true }))).text) as RunStatus;
const listOf = async (surroundings: NodeJS.ProcessEnv) =>
  JSON.parse((await said(listCommand(home, surroundings, { json: true }))).text).runs;

describe('looking at a run', () => {
  it('is possible while it runs, when it has ended, and without any server', async () => {
    const { sampler, open } = closedSampler();
    await pipeline.withWorkers(
      async (taskQueue) => {
        await startRun(pipeline.client, { workflow: 'astroPipeline', run: 'looked', document: shortRun, taskQueue });
        let status = await statusOf(env);
        await until(async () => {
          status = await statusOf(env);
          return status.stages[0]?.state === 'running';
        });
        expect(status).toMatchObject({
          schema: 'astroflow.status/1',
          run: 'looked',
          workflowId: 'astro/looked',
          status: 'running',
          source: 'workflow',
          endedAt: null,
          attention: [],
        });
        expect(status.stages[0]).toMatchObject({ name: 'search', done: 0, total: 4, unit: 'problems', share: 0 });
        expect(await listOf(env)).toEqual([
          expect.objectContaining({ run: 'looked', state: 'running', stage: 'search 0%', attention: [] }),
        ]);

        const watching = said(watchCommand(home, env, 'looked', { json: true }));
        await until(() => printed.length > 0);
        open();
        const { code, lines } = await watching;
        expect(code).toBe(0);
        const told = lines.map((line) => JSON.parse(line) as RunStatus);
        expect(told[0]?.status).toBe('running');
        expect(told.at(-1)?.status).toBe('completed');
        expect(told.at(-1)?.stages.map(({ share }) => share)).toEqual(told[0]?.stages.map(() => 1));
        expect(told.at(-1)?.books?.creditedTokens).toBeGreaterThan(0);
      },
      { sampler },
    );

    // Its workers have gone. A closed workflow could be asked by a replay only, so the store tells.
    expect(await listOf(env)).toEqual([expect.objectContaining({ run: 'looked', state: 'completed', stage: '' })]);
    expect((await said(watchCommand(home, away, 'looked'))).code).toBe(0);
    const stored = await statusOf(away);
    expect(stored).toMatchObject({ status: null, source: 'store' });
    expect(stored.stages.map(({ state }) => state)).toEqual(stored.stages.map(() => 'done'));
    expect(await listOf(away)).toEqual([expect.objectContaining({ state: 'stored: finished', stage: '' })]);
    await expect(statusCommand(home, away, 'unknown')).rejects.toThrow(/no run unknown: no Temporal server.*looked/s);
    await expect(statusCommand(home, env, 'unknown')).rejects.toThrow(/knows it not.*there are looked/s);
  });

  it('shows a tree at any moment, and what a row was made of', async () => {
    const { text } = await said(treeCommand(home, 'astro/looked', '0', {}));
    expect(text).toMatch(/^\* root +N \d+ /m);
    const first = JSON.parse((await said(treeCommand(home, 'looked', '0', { at: 1, json: true }))).text);
    expect(first).toMatchObject({ rounds: 1, tree: { rounds: 1 } });
    expect(JSON.parse((await said(treeCommand(home, 'looked', '0', { json: true }))).text)).toMatchObject({
      schema: 'astroflow.tree/1',
      finished: true,
    });
    await expect(treeCommand(home, 'looked', '0', { at: 99 })).rejects.toThrow(/--at goes from 0 to/);
    await expect(treeCommand(home, 'looked', 'nothing like it', {})).rejects.toThrow(/is not one problem of looked/);
    expect((await said(treeCommand(home, 'looked', undefined, {}))).lines).toHaveLength(4);

    const trace = await said(traceCommand(home, 'looked', 0, { arm: 'search' }));
    expect(trace.text).toMatch(/^\+ forward #\d+ Q \d\.\d\d +│ /m);
    expect(trace.text).toMatch(/^= answer #\d+ /m);
    const json = JSON.parse((await said(traceCommand(home, 'looked', 0, { arm: 'direct', json: true }))).text);
    expect(json).toMatchObject({ schema: 'astroflow.trace/1', arm: 'direct', row: { backtracks: 0 } });
    await expect(traceCommand(home, 'looked', 9999, { arm: 'search' })).rejects.toThrow(/rows, 0 to/);
    await expect(traceCommand(home, 'looked', 0, { arm: 'both' })).rejects.toThrow(/none of search, direct/);
  });
});
