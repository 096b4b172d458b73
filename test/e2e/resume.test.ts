import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TrainStepsInput, TrainStepsResult } from '../../src/activities/train.ts';
import { type Engine, startEngine } from '../../src/cli/engine.ts';
import { packageRoot } from '../../src/cli/paths.ts';
import { artifactNames, type SftPlan } from '../../src/config/plan.ts';
import type { Checkpoint } from '../../src/core/checkpoint.ts';
import { createRenderer } from '../../src/services/renderer/tokenizer.ts';
import { tinkerTrainer } from '../../src/services/trainer/tinker.ts';
import type { Trainer } from '../../src/services/trainer/trainer.ts';
import { type Lab, openLab } from '../support/lab.ts';
import { tinyRun } from '../support/pipeline.ts';

const model = join(packageRoot, 'engine', 'base', 'model');
const base: Checkpoint = { id: 'base', step: 0, base: 'astroflow-countdown', trainerState: null };

let lab: Lab;
let plan: SftPlan;
let engine: Engine;
const env: NodeJS.ProcessEnv = {};
const trainer = tinkerTrainer({ baseUrl: { env: 'ENGINE' }, timeoutMs: 60_000, loraRank: null }, env);

beforeAll(async () => {
  lab = await openLab();
  const { sft, linearize } = await lab.plan(tinyRun);
  const params = { ...sft.search.params, steps: 20, learningRate: 1e-3 };
  // The engine computes in one order only, so nothing at all may differ.
  plan = { ...sft.search, params, resume: { maxLogprobGap: 0, maxTokenGap: 0 } };
  const { encode, eosToken } = createRenderer(model, 'plain');
  const rows = [
    ['Use 4 9 3 to make 39\n', '9*4=36 left 3 36 to make 39\n36+3=39 is 39\nAnswer boxed{(9*4)+3}'],
    ['Use 2 5 7 to make 17\n', '2*5=10 left 7 10 to make 17\n10+7=17 is 17\nAnswer boxed{(2*5)+7}'],
    ['Use 6 8 1 to make 47\n', '8*6=48 left 1 48 to make 47\n48-1=47 is 47\nAnswer boxed{(8*6)-1}'],
  ].map(([prompt, answer]) => ({ promptTokens: encode(prompt!), completionTokens: [...encode(answer!), eosToken] }));
  await lab.store.putLines(artifactNames.rows(linearize.key, 'search'), rows);
  await start();
});
afterAll(async () => {
  await engine.child.kill();
  await lab.close();
  await rm(data, { recursive: true, force: true });
});

let data: string;
async function start(): Promise<void> {
  data ??= await mkdtemp(join(tmpdir(), 'astroflow-engine-'));
  engine = startEngine({ data, logFile: join(data, 'engine.log'), threads: 1 });
  env.ENGINE = await engine.url;
}

const train = (
  input: Pick<TrainStepsInput, 'checkpoint' | 'live' | 'toStep'>,
  attempt = 1,
  of = plan,
  double: Trainer = trainer,
): Promise<TrainStepsResult> =>
  lab.call('trainSteps', { plan: of, ...input }, { attempt, doubles: { trainer: () => double } });

it('an engine killed between two chunks restores exactly; damaged weights are noticed', async () => {
  const { checkpoint, live } = await train({ checkpoint: base, live: null, toStep: 6 });
  await engine.child.kill();
  await start();

  const next = { checkpoint, live, toStep: 10 };
  await expect(train(next)).rejects.toMatchObject({ type: 'ServiceLostState' });
  // The restored model agrees with the probe; it leaves its passes and dies.
  const dying: Trainer = { ...trainer, save: () => Promise.reject(new Error('the worker was killed')) };
  await expect(train(next, 2, plan, dying)).rejects.toThrow('killed');
  const resumed = await train(next, 3);
  expect(resumed.checkpoint.step).toBe(10);

  const weights = join(data, 'checkpoints', checkpoint.trainerState!.replace('tinker://', ''), 'model.safetensors');
  await copyFile(join(model, 'model.safetensors'), weights);
  const { resume: _resume, ...byDefault } = plan;
  await expect(train({ checkpoint, live: null, toStep: 8 }, 1, byDefault)).rejects.toMatchObject({
    type: 'ResumeMismatch',
    message: expect.stringContaining('step-6'),
  });
});

it('so is an adapter', async () => {
  const adapters = tinkerTrainer({ baseUrl: { env: 'ENGINE' }, timeoutMs: 60_000, loraRank: 8 }, env);
  const adapted = { ...plan, key: 'adapter' };
  const first = await train({ checkpoint: base, live: null, toStep: 6 }, 1, adapted, adapters);
  await engine.child.kill();
  await start();
  const next = { checkpoint: first.checkpoint, live: first.live, toStep: 10 };
  await expect(train(next, 1, adapted, adapters)).rejects.toMatchObject({ type: 'ServiceLostState' });
  expect((await train(next, 2, adapted, adapters)).checkpoint.step).toBe(10);
  // A model of all parameters does not take its place.
  const further = { ...next, live: null, toStep: 12 };
  await expect(train(further, 1, adapted)).rejects.toThrow(/LoRA of rank 8 .* trains all parameters/);
});
