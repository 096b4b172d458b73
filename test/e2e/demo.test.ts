import { execFileSync, spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot, venvPython } from '../../src/cli/paths.ts';
import type { Ledger } from '../../src/core/ledger/ledger.ts';
import { type Summary, summarySchema } from '../../src/report/summary-schema.ts';

/** The command as a person types it; everything real: dev server, engine, base model, worker. */
const demo = (home: string, signal?: { after: RegExp; send: NodeJS.Signals }) =>
  astroflow(home, ['demo', '--config', 'configs/smoke.json'], signal);

async function astroflow(home: string, args: string[], signal?: { after: RegExp; send: NodeJS.Signals }) {
  const child = spawn(process.execPath, ['bin/astroflow.js', ...args], {
    cwd: packageRoot,
    env: { ...process.env, ASTROFLOW_HOME: home },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const read = (chunk: Buffer) => {
    output += chunk;
    if (signal?.after.test(output)) {
      child.kill(signal.send);
      signal = undefined;
    }
  };
  child.stdout.on('data', read);
  child.stderr.on('data', read);
  const code = await new Promise<number | null>((resolve) => child.once('exit', resolve));
  return { code, output };
}

describe('astroflow demo with the smoke configuration', () => {
  let home: string;
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'astroflow-e2e-'));
  });
  afterAll(() => rm(home, { recursive: true, force: true }));

  it('stops cleanly when it is interrupted in the middle of the search', async () => {
    const { code, output } = await demo(home, { after: /search +running/, send: 'SIGINT' });
    expect(output).toContain('Stopped. Run `npm run demo` again to continue.');
    expect(code).toBe(130);
  });

  it('continues the same run to its end and leaves a summary', async () => {
    const { code, output } = await demo(home);
    expect(output).toContain('Continuing the run smoke');
    expect(output).toMatch(/Temporal UI +http:\/\/127\.0\.0\.1:\d+/);
    expect(code, output).toBe(0);
    const summary = await readSummary(home);
    expect(summary.scores.map((score) => score.checkpoint)).toEqual([
      'base',
      'search-sft',
      'search-rl',
      'direct-sft',
      'direct-rl',
    ]);
    expect(summary.funnel.problems).toBe(40);
    expect(summary.funnel.valid).toBeGreaterThan(0);
    // The engine's journal and the stored results agree: nothing was sampled twice unseen.
    for (const stage of summary.stages) expect(stage.wastedTokens, stage.name).not.toBeNull();
  });

  it('leaves books that are right, whatever was interrupted', async () => {
    const { code, output } = await astroflow(home, ['ledger', 'smoke', '--json']);
    expect(code, output).toBe(0);
    const ledger = JSON.parse(output) as Ledger;
    expect(ledger.errors).toEqual([]);
    expect(ledger.stages.map(({ stage, arm, finished }) => [stage, arm, finished])).toEqual([
      ['search', undefined, true],
      ['rl', 'search', true],
      ['rl', 'direct', true],
      ['evaluate', undefined, true],
    ]);
    // Every line of the engine's journal that has a call id is credited or wasted: nothing is left over.
    const journal = await readFile(join(home, 'engine', 'usage.jsonl'), 'utf8');
    const lines = journal
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { call: string; completion_tokens: number });
    const served = lines.filter(({ call }) => call !== '');
    const { credited, wasted, open } = ledger.total;
    expect(open?.calls).toBe(0);
    expect(credited.calls + wasted.calls).toBe(served.length);
    const tokens = served.reduce((sum, line) => sum + line.completion_tokens, 0);
    expect(credited.completionTokens + wasted.completionTokens).toBe(tokens);
  });

  it('exports its rows and models without the engine; transformers finds the same log-probabilities in them', async () => {
    const exported = join(home, 'exports', 'smoke');
    const first = await astroflow(home, ['export', 'smoke']);
    expect(first.code, first.output).toBe(0);
    for (const name of ['sft-search', 'rollouts-direct'])
      expect(await readdir(join(exported, 'rows'))).toEqual(
        expect.arrayContaining([`${name}.jsonl`, `${name}.parquet`]),
      );
    expect((await readdir(join(exported, 'models'))).sort()).toEqual(['direct-rl', 'search-rl']);
    const again = await astroflow(home, ['export', 'smoke', '--model', '--metrics', 'tensorboard']);
    expect(again.code, again.output).toBe(0);
    expect(again.output).toMatch(/= models \(search\) +.*search-rl: all weights \(there already\)/);

    // Each iteration's answers were sampled by the checkpoint before it.
    const rollouts = join(exported, 'rows', 'rollouts-search.jsonl');
    for (const [checkpoint, iteration] of [
      ['search-sft', 0],
      ['search-rl-iter-0', 1],
    ] as const) {
      const named = await astroflow(home, ['export', 'smoke', '--checkpoint', checkpoint]);
      expect(named.code, named.output).toBe(0);
      const seen = look(join(exported, 'models', checkpoint), rollouts, iteration);
      expect(seen.answers).toBe(32);
      expect(seen.largest_gap).toBeLessThan(1e-3);
      expect(seen.generated).toMatch(/^\d+[-+*]\d+=/);
    }
    expect(look(join(exported, 'models', 'search-rl'), rollouts, 1).largest_gap).toBeGreaterThan(1e-3);
  });

  it('shows a finished run again without doing it again', async () => {
    const before = await readSummary(home);
    const { code, output } = await demo(home);
    expect(code, output).toBe(0);
    expect(output).toContain('had finished');
    expect(await readSummary(home)).toEqual(before);
  });
});

function look(model: string, rollouts: string, iteration: number) {
  const program = join(packageRoot, 'test', 'e2e', 'check_exported_model.py');
  const said = execFileSync(venvPython(), [program, model, rollouts, `${iteration}`], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return JSON.parse(said) as { answers: number; largest_gap: number; generated: string };
}

async function readSummary(home: string): Promise<Summary> {
  const path = join(home, 'artifacts', 'runs', 'smoke', 'summary.json');
  return summarySchema.parse(JSON.parse(await readFile(path, 'utf8')));
}
