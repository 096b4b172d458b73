import type { RecipeConfig } from '../../../config/job-schema.ts';
import { plainPrompt } from '../../../core/chat-rows.ts';
import type { Message } from '../../../core/problem.ts';
import type { Recipe, RecipeInput } from './recipe.ts';
import {
  collectFrom,
  cycled,
  decimal,
  jsonLines,
  noAnswerBegun,
  noTrainOnPrompt,
  type Options,
  progressIn,
  type RlInput,
  ratioBounds,
  rewardFiles,
  type SftInput,
  sequencesPerStep,
} from './shared.ts';
import { type Run, wrapped } from './wrapped.ts';

/** Iterations between checkpoints. */
const SAVE_EVERY = 10;
/** Longest training text: OpenRLHF's own default would cut longer ones, this one is said once and can be changed. */
const MAX_LENGTH = 4096;

/** OpenRLHF 0.11 on one node: DeepSpeed for fine-tuning; Ray and vLLM for GRPO (Dr. GRPO's advantages). */
export function openrlhfRecipe({ python, options }: Omit<RecipeConfig, 'kind'>): Recipe {
  return {
    name: 'openrlhf',
    prepare(input) {
      noAnswerBegun('OpenRLHF', input);
      return input.stage === 'sft' ? fineTuning(python, options, input) : grpo(python, options, input);
    },
    progress: progressIn,
    collect: (input) => collectFrom(input.folder),
  };
}

function fineTuning(python: string, options: Options, input: SftInput) {
  const { params } = input;
  noTrainOnPrompt('OpenRLHF', input);
  const settings = {
    'model.model_name_or_path': input.model,
    'data.output_key': 'completion',
    // Its default writes "User: … Assistant: " around a prompt.
    'data.input_template': '{}',
    'train.batch_size': params.batchSize,
    'train.micro_batch_size': 1,
    lr_scheduler: 'cosine_with_min_lr',
    lr_warmup_ratio: params.warmupSteps / params.steps,
    min_lr_ratio: params.finalFraction,
    'adam.lr': params.learningRate,
    max_norm: params.adam.gradClipNorm,
    'ckpt.save_steps': params.stepsPerChunk,
    ...common(input),
    ...options,
  };
  const rows = cycled(input.rows, params.steps * params.batchSize).map(({ prompt, completion }) => ({
    prompt: promptOf(input, prompt),
    completion: input.template === 'chat' ? [{ role: 'assistant', content: completion }] : completion,
  }));
  const launch = ['-m', 'deepspeed.launcher.runner', '--module', 'openrlhf.cli.train_sft'];
  return wrapped(
    python,
    {
      ...run([python, ...launch, ...flags(settings, params.adam)], params.steps),
      resumed: 'consumed_samples: (\\d+)',
      per_step: params.batchSize,
      latest: 'checkpoints/latest',
    },
    { 'rows.jsonl': jsonLines(rows) },
  );
}

function grpo(python: string, options: Options, input: RlInput) {
  const { params, folder } = input;
  const settings = {
    'actor.model_name_or_path': input.model,
    'data.label_key': 'label',
    'reward.remote_url': `${folder}/astroflow_reward.py`,
    'algo.advantage.estimator': 'dr_grpo',
    'algo.kl.init_coef': 0,
    'actor.eps_clip_low_high': ratioBounds(params).map(decimal).join(' '),
    'actor.adam.lr': params.learningRate,
    'actor.lr_scheduler': 'constant',
    'actor.max_norm': params.adam.gradClipNorm,
    'rollout.batch_size': params.promptsPerIteration,
    'rollout.n_samples_per_prompt': params.groupSize,
    'rollout.temperature': params.temperature,
    'rollout.max_new_tokens': params.maxTokens,
    'train.batch_size': sequencesPerStep(params),
    'train.num_episodes': 1,
    'train.colocate_all': true,
    'actor.num_gpus_per_node': 1,
    'ref.num_gpus_per_node': 1,
    'vllm.num_engines': 1,
    'vllm.enable_sleep': true,
    'ds.enable_sleep': true,
    'ckpt.save_steps': SAVE_EVERY,
    ...common(input),
    ...options,
  };
  // As many prompts as all iterations take, so that one episode is the whole of it.
  const rows = cycled(input.rows, params.iterations * params.promptsPerIteration).map(({ prompt, problem }) => ({
    prompt: promptOf(input, prompt),
    label: JSON.stringify(problem),
  }));
  const job = wrapped(
    python,
    {
      ...run(
        [python, '-m', 'openrlhf.cli.train_ppo_ray', ...flags(settings, params.adam, 'actor.')],
        params.iterations,
      ),
      resumed: "checkpoint_states: .*'global_step': (\\d+)",
      step: 'Global step (\\d+):',
      latest: 'checkpoints/_actor/latest',
    },
    { 'rows.jsonl': jsonLines(rows), ...rewardFiles(input.task) },
  );
  return { ...job, asksRayForGpus: true };
}

const promptOf = ({ template }: RecipeInput, prompt: Message[]) => (template === 'chat' ? prompt : plainPrompt(prompt));

const common = ({ folder, seed, template, stage }: RecipeInput): Options => ({
  [stage === 'sft' ? 'data.dataset' : 'data.prompt_dataset']: `${folder}/rows.jsonl`,
  'data.input_key': 'prompt',
  'data.max_len': MAX_LENGTH,
  ...(template === 'chat' && { 'data.apply_chat_template': true }),
  'train.max_epochs': 1,
  'train.seed': seed % 2 ** 31,
  'ckpt.path': `${folder}/checkpoints`,
  'ckpt.output_dir': `${folder}/model`,
  'ckpt.load_enable': true,
});

const run = (train: readonly string[], total: number): Omit<Run, 'resumed' | 'latest'> => ({
  parquet: {},
  train,
  step: null,
  total,
  finish: null,
});

/** `true` is a flag without a value, `false` one that is left out; a text with spaces is several values. */
function flags(settings: Options, adam: RecipeInput['params']['adam'], of = ''): string[] {
  const written = Object.entries(settings).flatMap(([name, value]) => {
    if (value === false) return [];
    if (value === true) return [`--${name}`];
    return [`--${name}`, ...(typeof value === 'number' ? [decimal(value)] : value.split(' '))];
  });
  const { beta1, beta2, eps, weightDecay } = adam;
  return [
    ...written,
    ...[`--${of}adam.betas`, decimal(beta1), decimal(beta2)],
    ...[`--${of}adam.eps`, decimal(eps), `--${of}adam.weight_decay`, decimal(weightDecay)],
  ];
}
