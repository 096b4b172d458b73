import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRecipe } from '../../src/services/jobs/recipes/index.ts';
import type { RecipeInput } from '../../src/services/jobs/recipes/recipe.ts';
import { rlInput, sftInput } from '../services/recipes/inputs.ts';
import { environment } from './environment.ts';

/**
 * The files and commands of trainers that need a GPU, read by pyarrow and by their own parsers. Part of
 * `npm run test:services`.
 */

const { python, missing } = environment('recipes');
const parsers = fileURLToPath(new URL('./recipe_parsers.py', import.meta.url));
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'astroflow-recipes-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function understood(kind: 'verl' | 'openrlhf', input: RecipeInput) {
  const { files } = createRecipe({ kind, python: 'python3', options: {} }).prepare(input);
  const run = join(folder, `${kind}-${input.stage}.json`);
  writeFileSync(run, String(files['run.json']));
  return JSON.parse(execFileSync(python, [parsers, run], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }));
}

const jobs = environment('jobs');

it.skipIf(jobs.missing)("verl's rows as Parquet are the rows as JSON Lines", async () => {
  for (const input of [sftInput('/shared/a', 'base'), rlInput('/shared/a', 'base')]) {
    const recipe = createRecipe({ kind: 'verl', python: 'python3', options: {} });
    const { files } = recipe.prepare({ ...input, template: 'chat' });
    for (const name of ['rows.jsonl', 'astroflow_run.py']) writeFileSync(join(folder, name), String(files[name]));
    const code = 'import astroflow_run; astroflow_run.write_parquet("rows.jsonl", "rows.parquet")';
    execFileSync(jobs.python, ['-c', code], { cwd: folder });
    const rows = await parquetReadObjects({ file: await asyncBufferFromFile(join(folder, 'rows.parquet')) });
    const plain = JSON.parse(JSON.stringify(rows, (_, value) => (typeof value === 'bigint' ? Number(value) : value)));
    const lines = String(files['rows.jsonl']).trim().split('\n');
    expect(plain).toEqual(lines.map((line) => JSON.parse(line)));
  }
});

describe.skipIf(missing)('commands, as the real packages read them', () => {
  const chat = { template: 'chat' } as const;

  it('verl: fine-tuning', () => {
    const read = understood('verl', { ...sftInput("/shared/it's here", 'base'), ...chat });
    expect(read).toMatchObject({
      data: { train_batch_size: 8, train_files: "/shared/it's here/rows.parquet", messages_key: 'messages' },
      optim: { lr: 0.001, betas: [0.9, 0.98], weight_decay: 0.01, lr_warmup_steps: 2, min_lr_ratio: 0.1 },
      trainer: { total_training_steps: 12, save_freq: 4, resume_mode: 'auto', logger: ['console'] },
    });
  });

  it('verl: GRPO', () => {
    const read = understood('verl', {
      ...rlInput('/shared/a', 'base', { loss: 'ppo', stepsPerIteration: 2 }),
      ...chat,
    });
    expect(read).toMatchObject({
      algorithm: { adv_estimator: 'grpo', norm_adv_by_std_in_grpo: false },
      actor_rollout_ref: {
        actor: { ppo_mini_batch_size: 4, loss_scale_factor: 60, optim: { lr: 0.0002 } },
        rollout: { n: 4, temperature: 1 },
      },
      reward: { custom_reward_function: { path: '/shared/a/astroflow_reward.py', name: 'compute_score' } },
      trainer: { total_training_steps: 12, resume_mode: 'auto' },
    });
    const { clip_ratio_low, clip_ratio_high } = read.actor_rollout_ref.actor;
    expect([clip_ratio_low, clip_ratio_high]).toEqual([expect.closeTo(0.2), expect.closeTo(0.2)]);
  });

  it.each(['plain', 'chat'] as const)('OpenRLHF: fine-tuning, %s', (template) => {
    const read = understood('openrlhf', { ...sftInput('/shared/a', 'base'), template });
    expect(read).toMatchObject({
      data: { dataset: '/shared/a/rows.jsonl', input_key: 'prompt', apply_chat_template: template === 'chat' },
      train: { batch_size: 8, max_epochs: 1, seed: 5 },
      adam: { lr: 0.001, betas: [0.9, 0.98], weight_decay: 0.01 },
      ckpt: { load_enable: true, path: '/shared/a/checkpoints', output_dir: '/shared/a/model', save_steps: 4 },
    });
  });

  it('OpenRLHF: GRPO', () => {
    const read = understood('openrlhf', rlInput('/shared/a', 'base', { loss: 'ppo' }));
    expect(read).toMatchObject({
      actor: {
        model_name_or_path: 'base',
        adam: { lr: 0.0002 },
        eps_clip_low_high: [0.2, 0.2].map((n) => expect.closeTo(n)),
      },
      algo: { advantage: { estimator: 'dr_grpo' }, kl: { init_coef: 0 } },
      rollout: { batch_size: 8, n_samples_per_prompt: 4, max_new_tokens: 48 },
      reward: { remote_url: ['/shared/a/astroflow_reward.py'] },
      ckpt: { load_enable: true },
    });
  });
});
