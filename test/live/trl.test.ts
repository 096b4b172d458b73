import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/cli/paths.ts';
import type { JobBackend, JobState } from '../../src/services/jobs/jobs.ts';
import { processJobs } from '../../src/services/jobs/process.ts';
import { rayJobs } from '../../src/services/jobs/ray.ts';
import type { Recipe, RecipeInput, TrainedModel } from '../../src/services/jobs/recipes/recipe.ts';
import { progressIn } from '../../src/services/jobs/recipes/shared.ts';
import { trlRecipe } from '../../src/services/jobs/recipes/trl.ts';
import { createRenderer } from '../../src/services/renderer/tokenizer.ts';
import { rlInput, sftInput } from '../services/recipes/inputs.ts';
import { environment } from './environment.ts';
import { type RayCluster, startRay } from './ray-cluster.ts';

/**
 * Real TRL on a CPU: fine-tuning, then GRPO of what came out, on the bundled model; each trainer is killed on its way
 * and the next job goes on. Once as processes, once as jobs of a real Ray cluster. Part of `npm run test:services`.
 */

const { python, missing } = environment('jobs');
const base = fileURLToPath(new URL('../../engine/base/model', import.meta.url));
const small = { HF_HUB_OFFLINE: '1', OMP_NUM_THREADS: '1' };
const signal = () => AbortSignal.timeout(120_000);
let root: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'astroflow-trl-'));
});
afterAll(() => rmSync(root, { recursive: true, force: true, maxRetries: 5 }));

describe.skipIf(missing)('TRL for real', () => {
  const recipe = trlRecipe({ python, options: { save_steps: 10 } });

  it.each([
    ['plain', base, [{ role: 'user', content: 'Use 4 9 3 to make 39\n' }]],
    ['chat', 'test/fixtures/chat/chatml', [{ role: 'user', content: 'Hello' }]],
    ['chat', 'test/fixtures/chat/llama3', [{ role: 'user', content: 'Say <|eot_id|> twice' }]],
    [
      'chat',
      'test/fixtures/chat/chatml',
      [
        { role: 'user', content: 'Hello' },
        { role: 'assistant', content: 'So it' },
      ],
    ],
  ] as const)('sees the tokens that Astroflow samples from: %s, %s', (template, tokenizer, messages) => {
    const code = [
      'import json, sys',
      'from astroflow_texts import Texts',
      'texts = Texts(sys.argv[1], sys.argv[2])',
      'print(json.dumps([texts.ids(texts.prompt(json.loads(sys.argv[3]))), texts.end_token]))',
    ].join('\n');
    const programs = fileURLToPath(new URL('../../src/services/jobs/recipes/python', import.meta.url));
    const model = resolve(packageRoot, tokenizer);
    const printed = execFileSync(python, ['-c', code, model, template, JSON.stringify(messages)], {
      env: { ...process.env, ...small, PYTHONPATH: programs, PYTHONDONTWRITEBYTECODE: '1' },
      encoding: 'utf8',
    });
    const renderer = createRenderer(tokenizer, template);
    expect(JSON.parse(printed)).toEqual([renderer.prompt([...messages]).tokens, renderer.eosToken]);
  });

  describe.each(['processes', 'jobs of real Ray'])('as %s', (place) => {
    let backend: JobBackend;
    let ray: RayCluster | undefined;
    /** What fine-tuning left; where only GRPO is tried, it begins with the bundled model. */
    let tuned = base;
    const folder = (stage: string) => join(root, `${stage}-${place.replaceAll(' ', '-')}`);
    beforeAll(async () => {
      if (place === 'processes') backend = processJobs(join(root, 'jobs'));
      else {
        ray = await startRay(python);
        const { address } = ray;
        backend = rayJobs({ connection: () => ({ address, token: undefined }), timeoutMs: 60_000 });
      }
    });
    afterAll(() => ray?.close());

    it('fine-tuning is killed and goes on from its newest checkpoint', async () => {
      const sft = await trainWithKill(backend, recipe, sftInput(folder('sft'), base, { steps: 80 }), 25);
      expect(sft.globalStep).toBe(80);
      // Six answers learnt by heart.
      expect(sft.metrics.loss).toBeLessThan(1);
      tuned = sft.model;
    });

    it('GRPO of what came out is killed and goes on from its newest checkpoint', async () => {
      const rl = await trainWithKill(backend, recipe, rlInput(folder('rl'), tuned, { iterations: 30 }), 15);
      expect(rl.globalStep).toBe(30);
      expect(rl.metrics['rewards/trl_reward/mean']).toBeGreaterThanOrEqual(-1);
      expect(readFileSync(join(rl.model, 'model.safetensors'))).not.toEqual(
        readFileSync(join(tuned, 'model.safetensors')),
      );
    });
  });
});

/** Kills the trainer once it has made so many steps; the job after it must go on from a checkpoint and finish. */
async function trainWithKill(backend: JobBackend, recipe: Recipe, input: RecipeInput, steps: number) {
  const { files, command, env } = recipe.prepare(input);
  mkdirSync(input.folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) writeFileSync(join(input.folder, name), content);
  const { folder } = input;
  const job = { command, env: { ...env, ...small }, folder, resources: {} };

  const id = `astroflow-${input.stage}`;
  await backend.submit({ ...job, id: `${id}-1` }, signal());
  await until(backend, `${id}-1`, (_, done) => done >= steps);
  process.kill(trainerIn(folder), 'SIGKILL');
  const killed = await until(backend, `${id}-1`, ({ status }) => status === 'failed');
  expect(killed.status).toBe('failed');
  await expect(recipe.collect(input)).rejects.toThrow('has not said that it is done');

  await backend.submit({ ...job, id: `${id}-2` }, signal());
  const second = await until(backend, `${id}-2`, ({ status }) => status !== 'pending' && status !== 'running');
  expect(second.status, second.message).toBe('succeeded');
  const trained: TrainedModel = await recipe.collect(input);
  // The log says where the second job began, and the checkpoint that it names is older than the kill.
  expect(trained.resumedFrom).toBeGreaterThanOrEqual(Math.floor(steps / 10) * 10);
  expect(trained.resumedFrom % 10).toBe(0);
  expect(trained.resumedFrom).toBeLessThan(trained.globalStep);
  return trained;
}

/** Until the job's state and step satisfy; fails when the job ends otherwise. */
async function until(
  backend: JobBackend,
  id: string,
  satisfies: (state: JobState, done: number) => boolean,
): Promise<JobState> {
  let log = '';
  let after = 0;
  for (;;) {
    const state = await backend.get(id, signal());
    if (state === null) throw new Error(`job ${id} is gone`);
    const { text, next } = await backend.logs(id, after, signal());
    after = next;
    log += text;
    if (satisfies(state, progressIn(log)?.done ?? 0)) return state;
    if (state.status !== 'pending' && state.status !== 'running')
      throw new Error(`job ${id} ${state.status}: ${state.message}\n${log.slice(-4_000)}`);
    await delay(100);
  }
}

/** The process id of the trainer that works in a folder. */
function trainerIn(folder: string): number {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const found = pids.find((pid) => {
    try {
      const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      return (
        argv.some((word) => /^trl_\w+\.py$/.test(word)) &&
        argv[0] === python &&
        readlinkSync(`/proc/${pid}/cwd`) === folder
      );
    } catch {
      return false;
    }
  });
  if (found === undefined) throw new Error(`no trainer works in ${folder}`);
  return Number(found);
}
