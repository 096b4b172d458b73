import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fillIteration, progressIn } from '../../../src/services/jobs/recipes/shared.ts';
import { trlRecipe } from '../../../src/services/jobs/recipes/trl.ts';
import { rlInput, sftInput } from './inputs.ts';

const recipe = trlRecipe({ python: 'python3', options: {} });
const lines = (text: unknown) =>
  String(text)
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

describe('the TRL recipe', () => {
  it('writes the same files and command for the same input', () => {
    expect(recipe.prepare(sftInput('/jobs/a', 'base'))).toEqual(recipe.prepare(sftInput('/jobs/a', 'base')));
    expect(recipe.prepare(rlInput('/jobs/a', 'base'))).toEqual(recipe.prepare(rlInput('/jobs/a', 'base')));
  });

  it('hands fine-tuning its parameters and rows', () => {
    const { files, command } = recipe.prepare(sftInput('/jobs/a', 'base'));
    expect(command).toEqual(['python3', 'trl_sft.py']);
    expect(JSON.parse(String(files['job.json']))).toMatchObject({
      model: 'base',
      template: 'plain',
      steps: 12,
      batch_size: 8,
      save_steps: 4,
      warmup_steps: 2,
      final_fraction: 0.1,
      train_on_prompt: false,
      options: {},
    });
    const rows = lines(files['rows.jsonl']);
    expect(rows).toHaveLength(6);
    expect(Object.keys(rows[0])).toEqual(['prompt', 'completion']);
  });

  it('hands GRPO whole iterations, the bounds of its ratio, and a way to the verifier', () => {
    const { files } = recipe.prepare(rlInput('/jobs/a', 'base', { loss: 'ppo', stepsPerIteration: 2 }));
    expect(JSON.parse(String(files['job.json']))).toMatchObject({
      steps: 24,
      batch_size: 16,
      save_steps: 20,
      clip: { low: expect.closeTo(0.2), high: expect.closeTo(0.2) },
    });
    const { command } = JSON.parse(String(files['astroflow_reward.json']));
    expect(command.slice(2)).toEqual(['reward', '--task', '{"name":"countdown"}']);
    // Six problems are fewer than an iteration's eight prompts.
    expect(lines(files['rows.jsonl'])).toHaveLength(12);
  });

  it('refuses an iteration that cannot be divided into equal steps', () => {
    expect(() => recipe.prepare(rlInput('/jobs/a', 'base', { stepsPerIteration: 5 }))).toThrow('stepsPerIteration');
  });

  it('launches several processes where asked, and gives TRL the rest of its options as they are', () => {
    const { files, command } = trlRecipe({
      python: 'py',
      options: { num_processes: 8, save_steps: 7, bf16: false },
    }).prepare(sftInput('/jobs/a', 'base'));
    expect(command).toEqual(['py', '-m', 'accelerate.commands.launch', '--num_processes', '8', 'trl_sft.py']);
    expect(JSON.parse(String(files['job.json']))).toMatchObject({ save_steps: 7, options: { bf16: false } });
  });

  it('never has fewer rows than an iteration has prompts, and no row more often than another', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 200 }), (rows, prompts) => {
        const filled = fillIteration(
          Array.from({ length: rows }, (_, i) => i),
          prompts,
        );
        expect(filled.length).toBeGreaterThanOrEqual(prompts);
        expect(filled.length % rows).toBe(0);
      }),
    );
  });

  it('reads progress from the end of a log', () => {
    expect(progressIn('loading…')).toBeNull();
    expect(progressIn('x\nASTROFLOW {"event":"start","resumed_from":8,"total":12}\n')).toEqual({ done: 8, total: 12 });
    const log = 'ASTROFLOW {"event":"step","step":9,"total":12,"loss":1}\nnoise\nASTROFLOW {"event":"st';
    expect(progressIn(log)).toEqual({ done: 9, total: 12 });
  });
});

describe('what a finished job of a recipe has left', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'astroflow-recipe-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const log = (...events: object[]) =>
    writeFileSync(join(folder, 'astroflow-log.jsonl'), events.map((event) => `${JSON.stringify(event)}\n`).join(''));
  const model = () => {
    mkdirSync(join(folder, 'model'));
    writeFileSync(join(folder, 'model/config.json'), '{}');
  };
  const interrupted = [
    { event: 'start', resumed_from: 0, total: 12 },
    { event: 'step', step: 5, total: 12, loss: 2 },
  ];
  const resumed = [
    { event: 'start', resumed_from: 4, total: 12 },
    { event: 'step', step: 12, total: 12, loss: 0.5 },
  ];

  it('is a model, the step it ended at, and the step that its last start went on from', async () => {
    log(...interrupted, ...resumed, { event: 'end', global_step: 12 });
    model();
    expect(await recipe.collect(sftInput(folder, 'base'))).toEqual({
      model: join(folder, 'model'),
      globalStep: 12,
      resumedFrom: 4,
      metrics: { loss: 0.5 },
    });
  });

  it('is not taken for finished without its end, at another step, or without a model', async () => {
    await expect(recipe.collect(sftInput(folder, 'base'))).rejects.toThrow('has not said that it is done');
    log(...interrupted);
    await expect(recipe.collect(sftInput(folder, 'base'))).rejects.toThrow('has not said that it is done');
    log(...interrupted, { event: 'end', global_step: 9 });
    await expect(recipe.collect(sftInput(folder, 'base'))).rejects.toThrow('stopped at step 9 of 12');
    log(...interrupted, { event: 'end', global_step: 12 });
    await expect(recipe.collect(sftInput(folder, 'base'))).rejects.toThrow('no config.json');
  });
});
