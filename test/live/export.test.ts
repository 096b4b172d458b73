import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/cli/paths.ts';
import { exportModel, type ModelOptions } from '../../src/export/model.ts';
import { noTrainer } from '../../src/services/trainer/none.ts';
import { openTrainedRun, type TrainedRun } from '../support/trained-run.ts';
import { environment } from './environment.ts';

/** What `astroflow export` writes, as the tools see it that it is written for. */

const { python, missing } = environment('export');
const checks = fileURLToPath(new URL('./export_checks.py', import.meta.url));

let run: TrainedRun;
let home: string;
let out: string;
beforeAll(async () => {
  run = await openTrainedRun();
  home = mkdtempSync(join(tmpdir(), 'astroflow-export-'));
  out = join(home, 'exports', 'lab');
  symlinkSync(run.lab.folder, join(home, 'artifacts'));
  if (!missing) astroflow('--rows', '--metrics', 'tensorboard', 'wandb', '--python', python);
});
afterAll(async () => {
  rmSync(home, { recursive: true });
  await run.lab.close();
});

function astroflow(...args: string[]): string {
  const cli = join(packageRoot, 'bin', 'astroflow.js');
  const options = { env: { ...process.env, ASTROFLOW_HOME: home }, encoding: 'utf8' as const };
  return execFileSync(process.execPath, [cli, 'export', 'lab', ...args], options);
}

// biome-ignore lint/suspicious/noExplicitAny: JSON of many shapes
function check(...args: string[]): any {
  const env = { ...process.env, HF_HOME: join(home, 'hf'), TOKENIZERS_PARALLELISM: 'false', HF_HUB_OFFLINE: '1' };
  const said = execFileSync(python, [checks, ...args], { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  return JSON.parse(said.trim().split('\n').at(-1) ?? '');
}

interface SftLine {
  messages: { role: string; content: string }[];
}

const linesOf = (name: string): SftLine[] =>
  readFileSync(join(out, 'rows', `${name}.jsonl`), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

describe.skipIf(missing)('exported rows', () => {
  it.each(['sft-search', 'sft-direct', 'prompts-search', 'rollouts-search'])(
    '%s are the same for pyarrow and datasets, as Parquet and as JSON Lines',
    (name) => {
      const seen = check('rows', join(out, 'rows'), name);
      expect(seen).toMatchObject({ arrow: true, datasets: true, json: true });
      expect(seen.rows).toBe(linesOf(name).length);
      if (name === 'sft-search')
        expect(seen.schema.messages).toBe(
          'list<element: struct<role: string not null, content: string not null> not null>',
        );
    },
  );

  it("are read by verl's own data sets, for fine-tuning and for GRPO", () => {
    const seen = check('verl', join(out, 'rows'), join(packageRoot, 'test', 'fixtures', 'chat', 'chatml'));
    const sft = linesOf('sft-search');
    expect(seen.sft_rows).toBe(sft.length);
    expect(seen.learned).toContain(sft[0]?.messages[1]?.content);
    expect(seen.learned).not.toContain(sft[0]?.messages[0]?.content);
    expect(seen.prompts).toBe(linesOf('prompts-search').length);
    expect(seen.raw_prompt).toEqual([{ role: 'user', content: expect.stringMatching(/^Use .* to make \d+\n$/) }]);
    expect(seen.ground_truth.id).toBe(seen.problem_id);
  });
});

describe.skipIf(missing)('exported curves', () => {
  it('are what TensorBoard reads, checksums and all', () => {
    const seen = check('tensorboard', join(out, 'metrics', 'tensorboard'));
    expect(Object.keys(seen)).toEqual(['direct', 'search']);
    expect(seen.search['rl/reward'].map(([step]: [number]) => step)).toEqual([1, 2]);
    expect(seen.direct['sft/loss']).toHaveLength(1);
  });

  it('are offline runs of wandb, with their steps and settings', () => {
    const seen = check('wandb', join(out, 'metrics', 'wandb'));
    expect(Object.keys(seen).sort()).toEqual(['lab-direct', 'lab-search']);
    const { id, group, project, history, config, steps } = seen['lab-search'];
    expect({ id, group, project }).toEqual({
      id: `lab-search-${run.plan.rl.search.key}`,
      group: 'lab',
      project: 'astroflow',
    });
    const rewards = history.filter((row: object) => 'rl/reward' in row);
    expect(rewards.map((row: Record<string, number>) => row['rl/step'])).toEqual([1, 2]);
    expect(config).toMatchObject({ 'sft.batchSize': 4, arm: 'search' });
    expect(Object.values(steps)).toEqual(expect.arrayContaining(['rl/step', 'sft/step']));
    expect(readdirSync(join(out, 'metrics', 'wandb')).every((name) => name.startsWith('offline-run-'))).toBe(true);
  });

  it('arrive at an MLflow server once, however often they are sent', async () => {
    const server = await startMlflow();
    try {
      const first = astroflow('--metrics', 'mlflow', '--mlflow', server.url, '--project', 'astro');
      expect(first).toMatch(/search \(run \w+\): \d\d new points/);
      const second = astroflow('--metrics', 'mlflow', '--mlflow', server.url, '--project', 'astro');
      expect(second).toMatch(/search \(run \w+\): 0 new points/);
      const seen = check('mlflow', server.url, 'astro');
      expect(Object.keys(seen).sort()).toEqual(['lab-direct', 'lab-search']);
      expect(seen['lab-search']).toMatchObject({ status: 'FINISHED', params: { 'sft.batchSize': '4', arm: 'search' } });
      expect(seen['lab-direct'].status).toBe('RUNNING');
      expect(seen['lab-search'].metrics['rl/reward'].map(([step]: [number]) => step)).toEqual([1, 2]);
    } finally {
      await server.close();
    }
  });
});

describe.skipIf(missing)('an exported adapter', () => {
  const base = join(packageRoot, 'engine', 'base', 'model');
  let folder: string;
  beforeAll(() => {
    folder = join(home, 'checkpoint');
    mkdirSync(folder);
    check('adapter', base, folder);
  });

  async function exported(name: string, options: Partial<ModelOptions>): Promise<string> {
    const into = join(home, name);
    mkdirSync(into);
    const { plan } = run;
    const policy = { ...plan.search.policy, tokenizer: base };
    const checkpoint = {
      id: 'k/iter-1',
      step: 1,
      base: 'b',
      trainerState: 's',
      samplerModel: 'tinker://m/sampler_weights/s',
    };
    await exportModel(
      { ...plan, search: { ...plan.search, policy } },
      { name: 'search-rl', arm: 'search', final: true, checkpoint },
      {
        trainer: { ...noTrainer, fetchWeights: async () => folder },
        engineCheckpoints: join(home, 'engine'),
        merge: false,
        python,
        signal: new AbortController().signal,
        ...options,
      },
      into,
    );
    return into;
  }

  it('finds its base by itself, and merged into it is the same model', async () => {
    const adapter = check('logits', await exported('adapter', {}), '--peft');
    const merged = check('logits', await exported('merged', { merge: true }));
    const plain = check('logits', base);
    const gap = (a: number[], b: number[]) => Math.max(...a.map((value, index) => Math.abs(value - (b[index] ?? 0))));
    expect(gap(adapter.logits, merged.logits)).toBeLessThan(1e-4);
    expect(gap(adapter.logits, plain.logits)).toBeGreaterThan(0.01);
    expect(merged.generated).toEqual(adapter.generated);
    expect(readdirSync(join(home, 'merged'))).toEqual(expect.arrayContaining(['config.json', 'tokenizer.json']));
    expect(readdirSync(join(home, 'merged'))).not.toContain('adapter_config.json');
  });
});

/** A real tracking server over SQLite in a folder of its own. */
async function startMlflow(): Promise<{ url: string; close(): Promise<void> }> {
  const port = await freePort();
  const folder = mkdtempSync(join(home, 'mlflow-'));
  const args = ['-m', 'mlflow', 'server', '--backend-store-uri', `sqlite:///${folder}/mlflow.db`, '--workers', '1'];
  args.push('--default-artifact-root', join(folder, 'artifacts'), '--host', '127.0.0.1', '--port', `${port}`);
  // A group of its own: the server starts workers, which must end with it.
  const child = spawn(python, args, { cwd: folder, detached: true, stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  await until(child, async () => (await fetch(`${url}/health`, { signal: AbortSignal.timeout(2000) })).ok);
  return {
    url,
    async close() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      process.kill(-(child.pid as number), 'SIGKILL');
      await ended;
    },
  };
}

async function until(child: ChildProcess, ready: () => Promise<boolean>): Promise<void> {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}`);
    if (await ready().catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
