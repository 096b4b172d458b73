import { describe, expect, it } from 'vitest';
import { nemoRlRecipe } from '../../../src/services/jobs/recipes/nemo-rl.ts';
import type { PreparedJob, RecipeInput } from '../../../src/services/jobs/recipes/recipe.ts';
import { rlInput, sftInput } from './inputs.ts';

/**
 * NeMo-RL is not on PyPI. What is written for the version in the name of the folder was read once by its own loader and
 * its own types (OmegaConf, `MasterConfig`); another version is another folder.
 */
const golden = '../../fixtures/recipes/nemo-rl-0.6.0-7ea279ab';

const options = { 'policy.train_micro_batch_size': 2, 'policy.generation.vllm_cfg.kv_cache_dtype': 'fp8 e4m3' };
const recipe = nemoRlRecipe({ kind: 'nemo-rl', python: 'py', options, checkout: '/opt/NeMo-RL' });
const rows = ({ files }: PreparedJob) =>
  String(files['rows.jsonl'])
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
const read = ({ files }: PreparedJob, name: string) => JSON.parse(String(files[name]));

describe('the NeMo-RL recipe', () => {
  it.each<[string, RecipeInput]>([
    ['sft', sftInput('/jobs/a', 'base')],
    ['grpo', rlInput('/jobs/a', 'base', { loss: 'ppo', stepsPerIteration: 2 })],
  ])('writes the settings and the command of its version: %s', async (name, input) => {
    const job = recipe.prepare(input);
    await expect(job.files['nemo_rl.yaml']).toMatchFileSnapshot(`${golden}/${name}.yaml`);
    await expect(job.files['run.json']).toMatchFileSnapshot(`${golden}/${name}.run.json`);
    await expect(job.files['job.json']).toMatchFileSnapshot(`${golden}/${name}.job.json`);
  });

  it('writes as many rows as all steps take, with prompts as messages and problems as text', () => {
    const sft = rows(recipe.prepare(sftInput('/jobs/a', 'base')));
    expect(sft).toHaveLength(12 * 8);
    expect(Object.keys(sft[0])).toEqual(['messages', 'completion']);
    const rl = rows(recipe.prepare(rlInput('/jobs/a', 'base')));
    expect(rl).toHaveLength(12 * 8);
    expect(JSON.parse(rl[0].problem)).toHaveProperty('data.numbers');
  });

  it('takes along what the checkout imports from the job', () => {
    const { files } = recipe.prepare(rlInput('/jobs/a', 'base'));
    for (const name of ['nemo_rl_train.py', 'astroflow_nemo_rl.py', 'astroflow_texts.py', 'astroflow_reward.py'])
      expect(files).toHaveProperty([name]);
    expect(files).toHaveProperty(['astroflow_reward.json']);
  });

  it('has no bound of the gradient where Astroflow has none', () => {
    const input = sftInput('/jobs/a', 'base');
    const adam = { ...input.params.adam, gradClipNorm: 0 };
    const settings = read(recipe.prepare(sftInput('/jobs/a', 'base', { adam })), 'nemo_rl.yaml');
    expect(settings.policy.max_grad_norm).toBeNull();
  });

  it.each([
    [0, [0]],
    [1, [0]],
    [4, [0, 4]],
    [12, [0]],
    [50, [0]],
  ])('has a learning rate for every step where %i of 12 warm up', (warmupSteps, begins) => {
    const job = recipe.prepare(sftInput('/jobs/a', 'base', { warmupSteps, finalFraction: 0 }));
    const schedule = read(job, 'nemo_rl.yaml').policy.scheduler;
    const { milestones } = schedule.at(-1);
    expect([0, ...milestones]).toEqual(begins);
    expect(schedule).toHaveLength(begins.length + 1);
    for (const { kwargs } of schedule.slice(0, -1)) {
      // What PyTorch wants of them.
      expect(kwargs.start_factor).toBeGreaterThan(0);
      expect(kwargs.start_factor).toBeLessThanOrEqual(1);
      expect(kwargs.end_factor).toBeGreaterThanOrEqual(0);
      expect(kwargs.total_iters).toBeGreaterThan(0);
    }
  });

  it('refuses an iteration that cannot be divided into equal steps', () => {
    expect(() => recipe.prepare(rlInput('/jobs/a', 'base', { stepsPerIteration: 5 }))).toThrow('stepsPerIteration');
  });
});
