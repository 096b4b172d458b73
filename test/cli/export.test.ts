import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { main } from '../../src/cli/main.ts';
import { packageRoot } from '../../src/cli/paths.ts';
import { openTrainedRun, type TrainedRun } from '../support/trained-run.ts';

let run: TrainedRun;
let home: string;
beforeAll(async () => {
  run = await openTrainedRun();
  home = mkdtempSync(join(tmpdir(), 'astroflow-export-'));
  symlinkSync(run.lab.folder, join(home, 'artifacts'));
});
afterAll(async () => {
  rmSync(home, { recursive: true });
  await run.lab.close();
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

async function astroflow(...args: string[]) {
  let [stdout, stderr] = ['', ''];
  vi.stubEnv('ASTROFLOW_HOME', home);
  vi.stubEnv('MLFLOW_TRACKING_URI', undefined);
  vi.spyOn(console, 'log').mockImplementation((text) => {
    stdout += `${text}\n`;
  });
  const say = (text: unknown) => {
    stderr += String(text);
    return true;
  };
  vi.spyOn(console, 'error').mockImplementation(say);
  vi.spyOn(process.stderr, 'write').mockImplementation(say);
  return { status: await main(['node', 'astroflow', ...args]), stdout, stderr };
}

const out = () => join(home, 'exports', 'lab');

describe('astroflow export', () => {
  it('explains itself to a person in a terminal', () => {
    const { status, stdout } = spawnSync(
      process.execPath,
      [join(packageRoot, 'bin', 'astroflow.js'), 'export', '--help'],
      {
        encoding: 'utf8',
      },
    );
    expect(status).toBe(0);
    for (const flag of ['--out', '--rows', '--model', '--metrics', '--checkpoint', '--merge', '--mlflow'])
      expect(stdout).toContain(flag);
  });

  it('writes what there is, says what is not there yet, and does it again without harm', async () => {
    const first = await astroflow('export', 'lab', '--rows', '--metrics', 'tensorboard');
    expect(first).toMatchObject({ status: 0, stderr: '' });
    expect(first.stdout).toMatch(/✓ rows +sft-search: \d+ rows/);
    expect(first.stdout).toContain('not there yet: rollouts-direct (nothing was sampled)');
    expect(first.stdout).toContain(`tensorboard --logdir ${join(out(), 'metrics', 'tensorboard')}`);
    const before = readFileSync(join(out(), 'rows', 'sft-search.jsonl'));
    expect((await astroflow('export', 'astro/lab/rl/search', '--rows')).status).toBe(0);
    expect(readFileSync(join(out(), 'rows', 'sft-search.jsonl'))).toEqual(before);
    expect(readdirSync(out()).sort()).toEqual(['export.json', 'metrics', 'rows']);
    expect(readdirSync(join(out(), 'metrics', 'tensorboard')).sort()).toEqual(['direct', 'search']);
  });

  it('writes only the arm that is asked for, into the folder that is asked for', async () => {
    const folder = join(home, 'elsewhere');
    expect((await astroflow('export', 'lab', '--rows', '--arm', 'direct', '--out', folder)).status).toBe(0);
    expect(readdirSync(join(folder, 'rows')).sort()).toEqual(['README.md', 'sft-direct.jsonl', 'sft-direct.parquet']);
  });

  it('keeps the rows where the models cannot be had, and ends with 1', async () => {
    const { status, stdout } = await astroflow('export', 'lab', '--out', join(home, 'both'));
    expect(status).toBe(1);
    expect(stdout).toMatch(/✗ models \(search\) +scripted models have no weights/);
    expect(existsSync(join(home, 'both', 'rows', 'README.md'))).toBe(true);
    expect(existsSync(join(home, 'both', 'models'))).toBe(false);
  });

  it("leaves somebody else's folder alone", async () => {
    mkdirSync(join(home, 'thesis'));
    writeFileSync(join(home, 'thesis', 'a.tex'), 'x');
    const { status, stderr } = await astroflow('export', 'lab', '--rows', '--out', join(home, 'thesis'));
    expect(status).toBe(1);
    expect(stderr).toContain('holds something else than an export');
    expect(readdirSync(join(home, 'thesis'))).toEqual(['a.tex']);
  });

  it.each([
    [['export', 'nowhere'], 1, 'There is no run nowhere'],
    [['export', 'lab', '--metrics', 'comet'], 2, 'Allowed choices are tensorboard, wandb, mlflow'],
    [['export', 'lab', '--checkpoint', 'best'], 1, 'best is no checkpoint'],
    [['export', 'lab', '--metrics', 'mlflow'], 1, 'Which MLflow server?'],
  ])('refuses %j', async (args, code, message) => {
    const { status, stdout, stderr } = await astroflow(...args);
    expect(status).toBe(code);
    expect(stdout + stderr).toContain(message);
  });
});
