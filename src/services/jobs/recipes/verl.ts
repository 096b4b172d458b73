import type { RecipeConfig } from '../../../config/job-schema.ts';
import { conversation, verlRow } from '../../../core/chat-rows.ts';
import type { Recipe, RecipeInput } from './recipe.ts';
import {
  collectFrom,
  cycled,
  decimal,
  fillIteration,
  hydraOverrides,
  jsonLines,
  needsChat,
  noTrainOnPrompt,
  type Options,
  progressIn,
  type RlInput,
  ratioBounds,
  refuse,
  rewardFiles,
  type SftInput,
} from './shared.ts';
import { wrapped } from './wrapped.ts';

/** Iterations between checkpoints. */
const SAVE_EVERY = 10;

/** verl 0.9, on one node: Hydra settings over its own defaults, which stay where Astroflow has none. */
export function verlRecipe({ python, options }: Omit<RecipeConfig, 'kind'>): Recipe {
  return {
    name: 'verl',
    prepare(input) {
      needsChat('verl', input);
      return input.stage === 'sft' ? fineTuning(python, options, input) : grpo(python, options, input);
    },
    progress: progressIn,
    collect: (input) => collectFrom(input.folder, stepsOf(input)),
  };
}

/** As verl counts them: optimiser steps of fine-tuning, iterations of GRPO. */
const stepsOf = (input: RecipeInput) => (input.stage === 'sft' ? input.params.steps : input.params.iterations);

function fineTuning(python: string, options: Options, input: SftInput) {
  const { params, model, folder, seed } = input;
  noTrainOnPrompt('verl', input);
  const gpus = options['trainer.n_gpus_per_node'] ?? 1;
  const settings = {
    'data.train_files': `${folder}/rows.parquet`,
    'data.train_batch_size': params.batchSize,
    'data.messages_key': 'messages',
    'model.path': model,
    'optim.lr': params.learningRate,
    'optim.betas': `[${decimal(params.adam.beta1)},${decimal(params.adam.beta2)}]`,
    'optim.weight_decay': params.adam.weightDecay,
    'optim.clip_grad': params.adam.gradClipNorm,
    'optim.lr_warmup_steps': params.warmupSteps,
    'optim.lr_scheduler_type': 'cosine',
    'optim.min_lr_ratio': params.finalFraction,
    'trainer.total_training_steps': params.steps,
    'trainer.total_epochs': 1,
    'trainer.save_freq': params.stepsPerChunk,
    'trainer.seed': seed % 2 ** 31,
    ...common(folder, 'sft'),
    ...options,
  };
  const launch = ['-m', 'torch.distributed.run', '--standalone', `--nproc_per_node=${gpus}`];
  // As many rows as steps take, so that one epoch is the whole of it.
  const rows = cycled(input.rows, params.steps * params.batchSize);
  return wrapped(
    python,
    {
      parquet: { 'rows.jsonl': 'rows.parquet' },
      train: [python, ...launch, '-m', 'verl.trainer.sft_trainer', ...hydraOverrides(settings)],
      resumed: 'resume from global step: (\\d+)',
      step: '\\bstep:(\\d+) - .*train/loss',
      total: params.steps,
      latest: 'checkpoints/latest_checkpointed_iteration.txt',
      finish: merge(python, 'checkpoints/global_step_{step}'),
    },
    { 'rows.jsonl': jsonLines(rows.map((row) => ({ messages: conversation(row) }))) },
  );
}

function grpo(python: string, options: Options, input: RlInput) {
  const { params, model, folder, seed } = input;
  refuse(
    params.promptsPerIteration % params.stepsPerIteration !== 0,
    'rl: verl divides the prompts of an iteration into equal optimiser steps: change stepsPerIteration',
  );
  const [clipLow, clipHigh] = ratioBounds(params);
  const rows = fillIteration(input.rows, params.promptsPerIteration);
  const perEpoch = Math.floor(rows.length / params.promptsPerIteration);
  const actor = 'actor_rollout_ref.actor';
  const settings = {
    'data.train_files': `${folder}/rows.parquet`,
    // Never read: evaluation is Astroflow's. verl opens the file all the same.
    'data.val_files': `${folder}/rows.parquet`,
    'data.train_batch_size': params.promptsPerIteration,
    'data.max_response_length': params.maxTokens,
    'data.seed': seed % 2 ** 31,
    'algorithm.adv_estimator': 'grpo',
    'algorithm.norm_adv_by_std_in_grpo': false,
    'algorithm.use_kl_in_reward': false,
    'actor_rollout_ref.model.path': model,
    'actor_rollout_ref.rollout.name': 'vllm',
    'actor_rollout_ref.rollout.n': params.groupSize,
    'actor_rollout_ref.rollout.temperature': params.temperature,
    'actor_rollout_ref.rollout.tensor_model_parallel_size': 1,
    'actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu': 1,
    [`${actor}.ppo_mini_batch_size`]: params.promptsPerIteration / params.stepsPerIteration,
    [`${actor}.ppo_micro_batch_size_per_gpu`]: 1,
    [`${actor}.use_kl_loss`]: false,
    [`${actor}.loss_agg_mode`]: 'seq-mean-token-sum-norm',
    [`${actor}.loss_scale_factor`]: params.lengthNormalizer,
    [`${actor}.clip_ratio_low`]: clipLow,
    [`${actor}.clip_ratio_high`]: clipHigh,
    [`${actor}.grad_clip`]: params.adam.gradClipNorm,
    [`${actor}.optim.lr`]: params.learningRate,
    [`${actor}.optim.betas`]: `[${decimal(params.adam.beta1)},${decimal(params.adam.beta2)}]`,
    [`${actor}.optim.weight_decay`]: params.adam.weightDecay,
    'reward.custom_reward_function.path': `${folder}/astroflow_reward.py`,
    'reward.custom_reward_function.name': 'compute_score',
    'trainer.nnodes': 1,
    'trainer.n_gpus_per_node': 1,
    'trainer.total_training_steps': params.iterations,
    'trainer.total_epochs': Math.ceil(params.iterations / perEpoch),
    'trainer.save_freq': SAVE_EVERY,
    'trainer.val_before_train': false,
    'trainer.test_freq': -1,
    ...common(folder, 'grpo'),
    ...options,
  };
  const source = input.task.name;
  const job = wrapped(
    python,
    {
      parquet: { 'rows.jsonl': 'rows.parquet' },
      train: [python, '-m', 'verl.trainer.main_ppo', ...hydraOverrides(settings)],
      resumed: 'Setting global step to (\\d+)',
      step: '\\bstep:(\\d+) - ',
      total: params.iterations,
      latest: 'checkpoints/latest_checkpointed_iteration.txt',
      finish: merge(python, 'checkpoints/global_step_{step}/actor'),
    },
    {
      'rows.jsonl': jsonLines(rows.map((row, index) => verlRow(row, source, index))),
      ...rewardFiles(input.task),
    },
  );
  return { ...job, asksRayForGpus: true };
}

const common = (folder: string, name: string) => ({
  'trainer.default_local_dir': `${folder}/checkpoints`,
  'trainer.resume_mode': 'auto',
  'trainer.project_name': 'astroflow',
  'trainer.experiment_name': name,
  'trainer.logger': '[console]',
});

/** verl's checkpoints are shards; this makes a folder of them that transformers loads. */
const merge = (python: string, shards: string) => [
  ...[python, '-m', 'verl.model_merger', 'merge', '--backend', 'fsdp'],
  ...['--local_dir', shards, '--target_dir', 'model'],
];
