import type { RecipeConfig } from '../../../config/job-schema.ts';
import type { Recipe, RecipeInput } from './recipe.ts';
import {
  collectFrom,
  cycled,
  hydraOverrides,
  jsonLines,
  progressIn,
  pythonFile,
  type RlInput,
  ratioBounds,
  rewardFiles,
  type SftInput,
  sequencesPerStep,
} from './shared.ts';
import { wrapped } from './wrapped.ts';

/** Iterations between checkpoints. */
const SAVE_EVERY = 10;
/** Longest conversation in tokens: NeMo-RL's 512 and 1024 are for its examples. This is said once and can be changed. */
const MAX_LENGTH = 4096;

/**
 * NeMo-RL 0.6.0 (commit 7ea279ab), which is run from a checkout: PyPI's package of that name is empty. Its example
 * configurations are the defaults; texts and rewards are Astroflow's, by a processor and an environment in its registries.
 */
export function nemoRlRecipe({ python, options, checkout }: Extract<RecipeConfig, { kind: 'nemo-rl' }>): Recipe {
  return {
    name: 'nemo-rl',
    prepare(input) {
      const train = [python, 'nemo_rl_train.py', checkout, ...hydraOverrides(options)];
      const settings = input.stage === 'sft' ? fineTuning(checkout, input) : grpo(checkout, input);
      const job = wrapped(
        python,
        {
          parquet: {},
          train,
          resumed: null,
          step: null,
          // Written before a step; no line is written behind it.
          begins: '={25} Step (\\d+)/',
          total: stepsOf(input),
          latest: 'checkpoints/step_*',
          finish: [python, 'nemo_rl_export.py', checkout, 'checkpoints/step_{step}'],
        },
        {
          // JSON is YAML, and OmegaConf reads its numbers as they are.
          'nemo_rl.yaml': `${JSON.stringify(settings, null, 2)}\n`,
          'job.json': `${JSON.stringify(jobOf(input), null, 2)}\n`,
          'rows.jsonl': jsonLines(rowsOf(input)),
          ...Object.fromEntries(programs.map((name) => [name, pythonFile(name)])),
          ...(input.stage === 'rl'
            ? rewardFiles(input.task)
            : { 'astroflow_reward.py': pythonFile('astroflow_reward.py') }),
        },
      );
      return { ...job, asksRayForGpus: true };
    },
    progress: progressIn,
    collect: (input) => collectFrom(input.folder, stepsOf(input)),
  };
}

const programs = ['nemo_rl_train.py', 'nemo_rl_export.py', 'astroflow_nemo_rl.py', 'astroflow_texts.py'];

/** As NeMo-RL counts them: optimiser steps of fine-tuning, iterations of GRPO. */
const stepsOf = (input: RecipeInput) => (input.stage === 'sft' ? input.params.steps : input.params.iterations);

const jobOf = (input: RecipeInput) => ({
  stage: input.stage,
  model: input.model,
  template: input.template,
  ...(input.stage === 'sft' && { train_on_prompt: input.params.trainOnPrompt }),
});

/** As many rows as all steps take, so that one epoch is the whole of it. A problem is text: its fields differ by row. */
function rowsOf(input: RecipeInput): unknown[] {
  if (input.stage === 'sft')
    return cycled(input.rows, input.params.steps * input.params.batchSize).map(({ prompt, completion }) => ({
      messages: prompt,
      completion,
    }));
  return cycled(input.rows, input.params.iterations * input.params.promptsPerIteration).map(({ prompt, problem }) => ({
    messages: prompt,
    problem: JSON.stringify(problem),
  }));
}

function fineTuning(checkout: string, input: SftInput) {
  const { params } = input;
  return {
    defaults: `${checkout}/examples/configs/sft.yaml`,
    sft: {
      max_num_steps: params.steps,
      max_num_epochs: 1,
      seed: input.seed % 2 ** 31,
      ...noValidation,
    },
    policy: {
      ...policyOf(input, params.batchSize),
      scheduler: linearSchedule(params),
    },
    data: dataOf(input),
    ...common(input, params.stepsPerChunk),
  };
}

function grpo(checkout: string, input: RlInput) {
  const { params } = input;
  const [low, high] = ratioBounds(params);
  return {
    defaults: `${checkout}/examples/configs/grpo_math_1B.yaml`,
    grpo: {
      num_prompts_per_step: params.promptsPerIteration,
      num_generations_per_prompt: params.groupSize,
      max_num_steps: params.iterations,
      max_num_epochs: 1,
      seed: input.seed % 2 ** 31,
      // Advantages without the deviation, about the mean of the whole group.
      normalize_rewards: false,
      use_leave_one_out_baseline: false,
      skip_reference_policy_logprobs_calculation: true,
      ...noValidation,
    },
    loss_fn: { reference_policy_kl_penalty: 0, ratio_clip_min: low, ratio_clip_max: high, token_level_loss: true },
    policy: {
      ...policyOf(input, sequencesPerStep(params)),
      // Its default warms up for 50 steps.
      scheduler: [
        { name: 'torch.optim.lr_scheduler.ConstantLR', kwargs: { factor: 1, total_iters: 1 } },
        { milestones: [] },
      ],
      generation: { max_new_tokens: params.maxTokens, temperature: params.temperature, top_p: 1, top_k: null },
    },
    data: dataOf(input),
    env: { _override_: true, astroflow: {} },
    ...common(input, SAVE_EVERY),
  };
}

/** Evaluation is Astroflow's. */
const noValidation = { val_period: 0, val_at_start: false, val_at_end: false };

const policyOf = ({ model, params: { learningRate, adam } }: RecipeInput, sequences: number) => ({
  model_name: model,
  tokenizer: { name: model, chat_template: 'default' },
  train_global_batch_size: sequences,
  train_micro_batch_size: 1,
  max_total_sequence_length: MAX_LENGTH,
  // 0 is no bound in Astroflow, and no step at all there.
  max_grad_norm: adam.gradClipNorm > 0 ? adam.gradClipNorm : null,
  optimizer: {
    kwargs: { lr: learningRate, betas: [adam.beta1, adam.beta2], eps: adam.eps, weight_decay: adam.weightDecay },
  },
});

/** `_override_`: nothing of the example's own data is left. NeMo-RL knows the mark at the first level only. */
const dataOf = ({ folder, stage }: RecipeInput) => ({
  _override_: true,
  // biome-ignore lint/suspicious/noTemplateCurlyInString: OmegaConf fills it in.
  max_input_seq_length: '${policy.max_total_sequence_length}',
  shuffle: true,
  num_workers: 1,
  ...(stage === 'sft'
    ? { add_bos: false, add_eos: false, add_generation_prompt: false }
    : { use_multiple_dataloader: false }),
  train: {
    dataset_name: 'ResponseDataset',
    data_path: `${folder}/rows.jsonl`,
    processor: 'astroflow',
    ...(stage === 'rl' && { env_name: 'astroflow' }),
  },
  validation: null,
  default: null,
});

const common = ({ folder }: RecipeInput, every: number) => ({
  checkpointing: {
    enabled: true,
    checkpoint_dir: `${folder}/checkpoints`,
    // Without a metric the newest are kept.
    metric_name: null,
    keep_top_k: 2,
    save_period: every,
    // What its converter reads; its own default is not.
    model_save_format: 'torch_save',
  },
  logger: {
    log_dir: `${folder}/logs`,
    wandb_enabled: false,
    tensorboard_enabled: false,
    mlflow_enabled: false,
    swanlab_enabled: false,
    monitor_gpus: false,
  },
  cluster: { gpus_per_node: 1, num_nodes: 1 },
});

/** Linear warm-up, then linear decay to a share of the rate: Astroflow's schedule as PyTorch's own schedulers make it. */
function linearSchedule({ steps, warmupSteps, finalFraction }: SftInput['params']) {
  const decayed = (step: number) => finalFraction + (1 - finalFraction) * (1 - step / steps);
  const linear = (from: number, to: number, over: number) => ({
    name: 'torch.optim.lr_scheduler.LinearLR',
    kwargs: { start_factor: from, end_factor: to, total_iters: over },
  });
  // A warm-up of one step is none.
  const warm = Math.min(warmupSteps, steps);
  if (warm < 2) return [linear(1, finalFraction, steps), { milestones: [] }];
  const warmUp = linear(1 / warm, decayed(warm - 1), warm - 1);
  if (warm === steps) return [warmUp, { milestones: [] }];
  return [warmUp, linear(decayed(warm), finalFraction, steps - warm), { milestones: [warm] }];
}
