import type { RecipeConfig } from '../../../config/job-schema.ts';
import type { Recipe, RecipeInput } from './recipe.ts';
import {
  collectFrom,
  fillIteration,
  jsonLines,
  progressIn,
  pythonFile,
  type RlInput,
  ratioBounds,
  rewardFiles,
  type SftInput,
  sequencesPerStep,
} from './shared.ts';

/** Sequences that are in memory at once, by process. */
const MICRO_BATCH = 8;
/** Iterations between checkpoints of reinforcement learning. */
const SAVE_EVERY = 10;

/**
 * Hugging Face TRL, by two small programs of ours: `trl sft` takes `--resume_from_checkpoint` and ignores it, and its
 * prompts would get special tokens that sampling does not see.
 */
export function trlRecipe({ python, options: all }: Omit<RecipeConfig, 'kind'>): Recipe {
  const { num_processes = 1, per_device_train_batch_size: micro = MICRO_BATCH, save_steps, ...options } = all;
  const launch = num_processes === 1 ? [] : ['-m', 'accelerate.commands.launch', '--num_processes', `${num_processes}`];
  return {
    name: 'trl',
    prepare(input) {
      const program = input.stage === 'sft' ? 'trl_sft.py' : 'trl_grpo.py';
      const job = input.stage === 'sft' ? sftJob(input) : grpoJob(input);
      const every = Number(save_steps ?? job.save_steps);
      const settings = { ...sharedJob(input), ...job, save_steps: every, micro_batch_size: micro, options };
      return {
        files: {
          'job.json': `${JSON.stringify(settings, null, 2)}\n`,
          'rows.jsonl': jsonLines(rowsOf(input)),
          'astroflow_texts.py': pythonFile('astroflow_texts.py'),
          'astroflow_trl.py': pythonFile('astroflow_trl.py'),
          [program]: pythonFile(program),
          ...(input.stage === 'rl' ? rewardFiles(input.task) : {}),
        },
        command: [python, ...launch, program],
        env: { TOKENIZERS_PARALLELISM: 'false', PYTHONUNBUFFERED: '1' },
      };
    },
    progress: progressIn,
    collect: (input) => collectFrom(input.folder, input.stage === 'sft' ? input.params.steps : stepsOf(input)),
  };
}

const sharedJob = ({ model, template, seed, params }: RecipeInput) => ({
  model,
  template,
  // The generators of PyTorch and NumPy take 32 bits.
  seed: seed % 2 ** 31,
  learning_rate: params.learningRate,
  adam: params.adam,
});

const sftJob = ({ params }: SftInput) => ({
  steps: params.steps,
  batch_size: params.batchSize,
  save_steps: params.stepsPerChunk,
  warmup_steps: params.warmupSteps,
  final_fraction: params.finalFraction,
  train_on_prompt: params.trainOnPrompt,
});

const stepsOf = ({ params }: RlInput) => params.iterations * params.stepsPerIteration;

function grpoJob(input: RlInput) {
  const { params } = input;
  const [low, high] = ratioBounds(params);
  return {
    steps: stepsOf(input),
    batch_size: sequencesPerStep(params),
    // Only whole iterations: a trainer that goes on samples anew.
    save_steps: SAVE_EVERY * params.stepsPerIteration,
    group_size: params.groupSize,
    steps_per_iteration: params.stepsPerIteration,
    max_tokens: params.maxTokens,
    temperature: params.temperature,
    length_normalizer: params.lengthNormalizer,
    clip: { low, high },
  };
}

function rowsOf(input: RecipeInput): unknown[] {
  if (input.stage === 'sft') return input.rows.map(({ prompt, completion }) => ({ prompt, completion }));
  const rows = input.rows.map(({ prompt, problem }) => ({ prompt, problem }));
  return fillIteration(rows, input.params.promptsPerIteration);
}
