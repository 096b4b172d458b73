import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RecipeConfig } from '../../../src/config/job-schema.ts';
import { createRecipe } from '../../../src/services/jobs/recipes/index.ts';
import { openrlhfRecipe } from '../../../src/services/jobs/recipes/openrlhf.ts';
import type { RecipeInput } from '../../../src/services/jobs/recipes/recipe.ts';
import { cycled, decimal } from '../../../src/services/jobs/recipes/shared.ts';
import { verlRecipe } from '../../../src/services/jobs/recipes/verl.ts';
import { rlInput, sftInput } from './inputs.ts';

/** What their parsers make of these commands is tested against the real packages: `test/live/recipes.test.ts`. */

const verl = verlRecipe({ python: 'py', options: { 'trainer.n_gpus_per_node': 4 } });
const openrlhf = openrlhfRecipe({ python: 'py', options: { 'ds.zero_stage': 3 } });
const chat = { template: 'chat' } as const;

const read = (files: Readonly<Record<string, unknown>>) => ({
  run: JSON.parse(String(files['run.json'])),
  rows: String(files['rows.jsonl'])
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line)),
});

describe('options of a recipe', () => {
  const recipe = createRecipe({
    kind: 'verl',
    python: 'py',
    options: { 'trainer.seed': 1, 'data.seed': 1 },
    sftOptions: { 'data.max_length': 4096, 'trainer.seed': 2 },
    rlOptions: { 'data.max_prompt_length': 1024 },
  });
  const settingsOf = (input: RecipeInput) => read(recipe.prepare({ ...input, ...chat }).files).run.train as string[];

  it('are of both stages, or of one of them, which wins', () => {
    const sft = settingsOf(sftInput('/jobs/a', 'base'));
    expect(sft).toEqual(expect.arrayContaining(['data.seed=1', 'trainer.seed=2', 'data.max_length=4096']));
    expect(sft.join(' ')).not.toContain('max_prompt_length');
    const rl = settingsOf(rlInput('/jobs/a', 'base'));
    expect(rl).toEqual(expect.arrayContaining(['trainer.seed=1', 'data.max_prompt_length=1024']));
    expect(rl.join(' ')).not.toContain('data.max_length');
  });
});

describe('trainers that ask Ray for GPUs themselves', () => {
  it.each([
    ['verl', undefined, true],
    ['openrlhf', undefined, true],
    ['nemo-rl', true, true],
    ['trl', undefined, undefined],
  ] as const)('%s', (kind, sft, rl) => {
    const recipe = createRecipe({ kind, python: 'py', options: {}, checkout: '/nemo-rl' } as RecipeConfig);
    expect(recipe.prepare({ ...sftInput('/jobs/a', 'base'), ...chat }).asksRayForGpus).toBe(sft);
    expect(recipe.prepare({ ...rlInput('/jobs/a', 'base'), ...chat }).asksRayForGpus).toBe(rl);
  });
});

describe('the verl recipe', () => {
  it('writes conversations, as many as the steps take, and merges the last shards into a model', () => {
    const { files, command } = verl.prepare({ ...sftInput('/jobs/a', 'base'), ...chat });
    const { run, rows } = read(files);
    expect(command).toEqual(['py', 'astroflow_run.py']);
    expect(run.train).toContain('--nproc_per_node=4');
    expect(run.train).toContain('trainer.resume_mode=auto');
    expect(run.parquet).toEqual({ 'rows.jsonl': 'rows.parquet' });
    expect(run.finish).toContain('checkpoints/global_step_{step}');
    expect(rows).toHaveLength(12 * 8);
    expect(rows[0].messages.map(({ role }: { role: string }) => role)).toEqual(['user', 'assistant']);
  });

  it('writes prompts with the problem as ground truth, and our reward', () => {
    const { files } = verl.prepare({ ...rlInput('/jobs/a', 'base'), ...chat });
    const { run, rows } = read(files);
    expect(rows).toHaveLength(12);
    expect(rows[7]).toMatchObject({
      data_source: 'countdown',
      reward_model: { style: 'rule' },
      extra_info: { index: 7 },
    });
    expect(JSON.parse(rows[0].reward_model.ground_truth)).toHaveProperty('data.numbers');
    // Twelve rows are one iteration's eight prompts an epoch.
    expect(run.train).toContain('trainer.total_epochs=12');
    expect(run.train).toContain('reward.custom_reward_function.path=/jobs/a/astroflow_reward.py');
    expect(files).toHaveProperty(['astroflow_reward.json']);
  });

  it('refuses what verl cannot do', () => {
    expect(() => verl.prepare(sftInput('/jobs/a', 'base'))).toThrow('policy.template to "chat"');
    expect(() => verl.prepare({ ...rlInput('/jobs/a', 'base', { stepsPerIteration: 3 }), ...chat })).toThrow(
      'stepsPerIteration',
    );
    expect(() => verl.prepare({ ...sftInput('/jobs/a', 'base', { trainOnPrompt: true }), ...chat })).toThrow(
      'trainOnPrompt',
    );
    const input = { ...rlInput('/jobs/a', 'base'), ...chat };
    const begun = input.rows.map((row) => ({ ...row, prompt: [...row.prompt, { role: 'assistant', content: 'So' }] }));
    expect(() => verl.prepare({ ...input, rows: begun as never })).toThrow('the prompt begins');
  });
});

describe('the OpenRLHF recipe', () => {
  it('writes texts or messages, as the template says', () => {
    const plain = read(openrlhf.prepare(sftInput('/jobs/a', 'base')).files);
    expect(plain.rows).toHaveLength(12 * 8);
    expect(typeof plain.rows[0].prompt).toBe('string');
    expect(plain.run.train.join(' ')).toContain('--data.input_template {} ');
    expect(plain.run.train).not.toContain('--data.apply_chat_template');
    expect(plain.run.per_step).toBe(8);

    const chats = read(openrlhf.prepare({ ...sftInput('/jobs/a', 'base'), ...chat }).files);
    expect(chats.rows[0].completion[0].role).toBe('assistant');
    expect(chats.run.train).toContain('--data.apply_chat_template');
  });

  it('writes as many prompts as all iterations take, with the problem as label; its own options win', () => {
    const { run, rows } = read(openrlhf.prepare(rlInput('/jobs/a', 'base')).files);
    expect(rows).toHaveLength(12 * 8);
    expect(JSON.parse(rows[0].label)).toHaveProperty('data.target');
    expect(run.train.join(' ')).toContain('--actor.eps_clip_low_high 1 1000000 ');
    expect(run.train.join(' ')).toContain('--ds.zero_stage 3 ');
  });
});

it('rows go round in their order', () => {
  expect(cycled(['a', 'b', 'c'], 7).join('')).toBe('abcabca');
});

it('numbers are written without an exponent and keep their value', () => {
  fc.assert(
    fc.property(fc.double({ min: 1e-12, max: 1e9, noNaN: true }), (value) => {
      expect(decimal(value)).toMatch(/^\d+(\.\d+)?$/);
      expect(Number(decimal(value))).toBe(value);
    }),
  );
});
