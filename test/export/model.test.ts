import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Plan } from '../../src/config/plan.ts';
import type { Checkpoint } from '../../src/core/checkpoint.ts';
import { exportModel, type ModelOptions } from '../../src/export/model.ts';
import { ServiceError } from '../../src/services/errors.ts';
import { noTrainer } from '../../src/services/trainer/none.ts';
import type { Trainer } from '../../src/services/trainer/trainer.ts';
import { type Lab, openLab } from '../support/lab.ts';
import { tinyRun } from '../support/pipeline.ts';

let lab: Lab;
let plan: Plan;
beforeAll(async () => {
  lab = await openLab();
  plan = await lab.plan(tinyRun);
});
afterAll(() => lab.close());

let root: string;
let out: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'astroflow-model-'));
  out = join(root, 'out');
  await mkdir(out);
});
afterEach(() => rm(root, { recursive: true }));

const checkpoint: Checkpoint = {
  id: 'k/iter-1',
  step: 2,
  base: 'scripted-base',
  trainerState: 'tinker://session-1:train:0/weights/iter-1',
  samplerModel: 'tinker://session-1:train:0/sampler_weights/rl-1',
};

const model = {
  'config.json': '{}',
  'model.safetensors': 'weights',
  'meta.json': '{}',
  'optimizer.safetensors': 'state',
};
const adapter = {
  'adapter_config.json': '{"r": 8, "base_model_name_or_path": null}',
  'adapter_model.safetensors': 'weights',
};

async function files(folder: string, content: Record<string, string>): Promise<string> {
  await mkdir(folder, { recursive: true });
  for (const [name, text] of Object.entries(content)) await writeFile(join(folder, name), text);
  return folder;
}

function exported(options: Partial<ModelOptions> = {}, of: Partial<Checkpoint> = {}, run = plan) {
  const named = { name: 'search-rl', arm: 'search' as const, final: true, checkpoint: { ...checkpoint, ...of } };
  const defaults: ModelOptions = {
    trainer: noTrainer,
    engineCheckpoints: join(root, 'engine'),
    merge: false,
    python: 'python3',
    signal: new AbortController().signal,
  };
  return exportModel(run, named, { ...defaults, ...options }, out);
}

const withPolicy = (policy: Partial<Plan['search']['policy']>): Plan => ({
  ...plan,
  search: { ...plan.search, policy: { ...plan.search.policy, ...policy } },
});

describe('a model folder', () => {
  it("is what the bundled engine left, with the policy's tokenizer, and without what only training needs", async () => {
    await files(join(root, 'engine', 'session-1:train:0', 'sampler_weights', 'rl-1'), model);
    expect(await exported()).toEqual({ checkpoint: 'k/iter-1', kind: 'model', final: true });
    expect((await readdir(out)).sort()).toEqual([
      'README.md',
      'config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    expect(await readFile(join(out, 'README.md'), 'utf8')).toContain('AutoModelForCausalLM.from_pretrained');
  });

  it('is read from the training state where only that is left', async () => {
    await files(join(root, 'engine', 'session-1:train:0', 'weights', 'iter-1'), model);
    expect(await exported()).toMatchObject({ kind: 'model' });
    expect(await readdir(out)).not.toContain('optimizer.safetensors');
  });

  it('is downloaded from the trainer, again where that is busy', async () => {
    let asked = 0;
    const trainer: Trainer = {
      ...noTrainer,
      async fetchWeights(path, folder) {
        asked += 1;
        const details = { service: 'the trainer', retryAfterMs: 1 };
        if (asked === 1) throw new ServiceError('retryable', 'it is being packed', details);
        expect(path).toBe(checkpoint.samplerModel);
        return files(join(folder, 'archive'), model);
      },
    };
    expect(await exported({ trainer })).toMatchObject({ kind: 'model' });
    expect(asked).toBe(2);
    expect((await readdir(out)).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('is saved once more where the sampler has its weights under another name, and the live model is given back', async () => {
    const calls: string[] = [];
    const live = { modelId: 'm', nextSeqId: 1, checkpointId: 'k' };
    const trainer: Trainer = {
      ...noTrainer,
      async restore({ trainerState }, { optimizer }) {
        calls.push(`restore ${trainerState} ${optimizer}`);
        return live;
      },
      saveForSampler: async () => ({ live, samplerModel: 'tinker://m/sampler_weights/export' }),
      async fetchWeights(path, folder) {
        calls.push(`fetch ${path}`);
        return files(join(folder, 'archive'), adapter);
      },
      async release() {
        calls.push('release');
      },
    };
    await exported({ trainer }, { samplerModel: 'search-rl-on-vllm' });
    const restored = `restore ${checkpoint.trainerState} false`;
    expect(calls).toEqual([restored, 'fetch tinker://m/sampler_weights/export', 'release']);
  });

  it("is a job's own, or is not on this machine", async () => {
    const job = withPolicy({ trainer: { kind: 'job' } as Plan['search']['policy']['trainer'] });
    const trainerState = await files(join(root, 'job', 'model'), model);
    expect(await exported({}, { trainerState }, job)).toMatchObject({ kind: 'model' });
    await expect(exported({}, { trainerState: '/on/the/cluster' }, job)).rejects.toThrow(
      'left its model in /on/the/cluster, which this machine does not have',
    );
  });

  it('that is none is an error', async () => {
    await files(join(root, 'engine', 'session-1:train:0', 'weights', 'iter-1'), { 'meta.json': '{}' });
    await expect(exported()).rejects.toThrow('no model');
  });
});

describe('an adapter', () => {
  const left = () =>
    files(join(root, 'engine', 'session-1:train:0', 'weights', 'iter-1'), { ...adapter, 'meta.json': '{}' });
  const config = async () => JSON.parse(await readFile(join(out, 'adapter_config.json'), 'utf8'));

  it('names its base: the one of the configuration, a folder that holds it, or the one that is asked for', async () => {
    await left();
    expect(await exported()).toMatchObject({ kind: 'adapter' });
    expect(await config()).toEqual({ r: 8, base_model_name_or_path: 'scripted-base' });
    const base = await files(join(root, 'base'), { ...model, 'tokenizer.json': '{}' });
    await exported({}, {}, withPolicy({ tokenizer: base }));
    expect(await config()).toMatchObject({ base_model_name_or_path: base });
    await exported({ base: 'org/model' });
    expect(await config()).toMatchObject({ base_model_name_or_path: 'org/model' });
    expect(await readFile(join(out, 'README.md'), 'utf8')).toContain('AutoPeftModelForCausalLM');
  });

  /** A Python that says how it was called, in place of one with peft. */
  async function fakePython(script: string): Promise<string> {
    const path = join(root, 'python');
    await writeFile(path, `#!/bin/sh\n${script}\n`);
    await chmod(path, 0o755);
    return path;
  }

  it('is merged by a Python with peft, and only the whole model is left', async () => {
    await left();
    const python = await fakePython(
      `cat > ${root}/input.json; echo '{}' > ${out}/config.json; echo w > ${out}/model.safetensors`,
    );
    expect(await exported({ merge: true, python })).toMatchObject({ kind: 'merged' });
    expect(JSON.parse(await readFile(join(root, 'input.json'), 'utf8'))).toMatchObject({ base: 'scripted-base', out });
    expect((await readdir(out)).sort()).toEqual([
      'README.md',
      'config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
  });

  it.each([
    ["echo 'No module named peft' >&2; exit 3", /lacks a package .*No module named peft.*-m pip install peft/],
    ["echo 'out of memory' >&2; exit 1", /merge_adapter.py failed \(exit code 1\):\nout of memory/],
  ])('that cannot be merged says why: %s', async (script, message) => {
    await left();
    await expect(exported({ merge: true, python: await fakePython(script) })).rejects.toThrow(message);
    await expect(exported({ merge: true, python: join(root, 'nothing') })).rejects.toThrow('There is no Python');
  });

  it('stops being merged when that is no longer wanted', async () => {
    await left();
    const stopped = new AbortController();
    const python = await fakePython(`echo $$ > ${root}/pid; exec sleep 600`);
    const merging = exported({ merge: true, python, signal: stopped.signal });
    while ((await readFile(join(root, 'pid'), 'utf8').catch(() => '')) === '') await new Promise(setImmediate);
    const pid = Number(await readFile(join(root, 'pid'), 'utf8'));
    stopped.abort(new Error('Ctrl-C'));
    await expect(merging).rejects.toThrow('Ctrl-C');
    expect(() => process.kill(pid, 0)).toThrow();
  });
});
