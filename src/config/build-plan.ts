import type { ArtifactRef } from '../core/artifact.ts';
import { contentKey } from '../core/key.ts';
import type { Json } from '../core/problem.ts';
import type { JobTrainerConfig } from './job-schema.ts';
import type {
  DroppedProblems,
  EvaluatePlan,
  LanguagePlan,
  LinearizePlan,
  OverlapCount,
  Plan,
  RlPlan,
  SearchPlan,
  SftPlan,
  StageContext,
} from './plan.ts';
import type { Arm, RoleModelConfig, RunConfig } from './schema.ts';

/** What `resolveConfig` looked up outside the configuration. */
export interface PlanInputs {
  run: string;
  config: ArtifactRef;
  taskVersion: number;
  /** Vocabulary and template of the policy. */
  rendererHash: string;
  searchProblems: ArtifactRef;
  /** Null: RL trains on the searched problems. */
  rlPrompts: ArtifactRef | null;
  benchmarks: EvaluatePlan['benchmarks'];
  /** What to tell people of the problem sets; no result depends on it. */
  dropped?: DroppedProblems[];
  overlap?: OverlapCount[];
  /** Contents of the prompts of judge and narrator; null: no model fills either role. */
  prompts: ArtifactRef | null;
}

/**
 * The plan of a run. Content keys hash what determines a stage's result (parameters, the policy's identity, the task's
 * version, its inputs' hashes) and never dials such as concurrency or addresses, so equal keys mean equal results.
 */
export function buildPlan(config: RunConfig, inputs: PlanInputs): Plan {
  const { seed, salt, task, policy, onFailure } = config;
  // Without a trainer nothing is trained: the run ends in the base model's scores.
  const trained = policy.trainer === null ? [] : config.arms;
  const identity = {
    task: { ...task, version: inputs.taskVersion },
    base: policy.base,
    revision: policy.revision,
    renderer: inputs.rendererHash,
    // Text-only servers give other tokens than those that take and give ids.
    sampler: [policy.sampler.kind, 'prompts' in policy.sampler ? policy.sampler.prompts : 'tokens'],
    seed,
    salt,
  };
  const key = (stage: string, content: unknown) => contentKey({ stage, identity, content } as unknown as Json);
  // Only what is trained depends on the trainer: trees, rows and the base's answers serve any of them.
  const trainer = [
    policy.trainer?.kind ?? null,
    policy.trainer !== null && 'loraRank' in policy.trainer ? policy.trainer.loraRank : null,
    ...(policy.trainer?.kind === 'tinker' && policy.trainer.loraUnembed !== undefined
      ? [{ loraUnembed: policy.trainer.loraUnembed }]
      : []),
    // What a trainer of its own is told; where it runs and lies does not matter.
    ...(policy.trainer?.kind === 'job' ? [recipeContent(policy.trainer)] : []),
  ];
  const { run } = inputs;
  const context = (stageKey: string): StageContext => ({ run, key: stageKey, seed, task, policy, onFailure });

  const {
    problems: _problems,
    concurrency: _concurrency,
    shards: _shards,
    pageSize: _pageSize,
    roundsPerActivity: _roundsPerActivity,
    ...searchContent
  } = config.search;
  const search: SearchPlan = {
    ...context(key('search', searchContent)),
    params: config.search,
    problems: inputs.searchProblems,
  };

  const roles = inputs.prompts === null ? undefined : { ...config.roles, prompts: inputs.prompts };
  const rowsContent = [search.key, search.problems.sha256, config.linearize];
  const linearize: LinearizePlan = {
    ...context(key('linearize', roles === undefined ? rowsContent : [...rowsContent, languageContent(roles)])),
    params: config.linearize,
    search,
    ...(roles && { roles }),
  };

  const sftPlan = (arm: Arm): SftPlan => {
    const params = { ...config.sft[arm], stepsPerChunk: config.sft.stepsPerChunk, adam: config.sft.adam };
    const { stepsPerChunk: _stepsPerChunk, ...content } = params;
    const sftKey = key('sft', [arm, linearize.key, trainer, content]);
    return {
      ...context(sftKey),
      arm,
      params,
      resume: config.resume,
      linearizeKey: linearize.key,
      ...(policy.trainer?.kind === 'job' && { problems: inputs.searchProblems }),
    };
  };
  const sft = { search: sftPlan('search'), direct: sftPlan('direct') };

  const rlPlan = (arm: Arm, matchTokensOfKey: string | null): RlPlan => {
    const { adam, guards, difficulty, iterationsPerRun } = config.rl;
    const prompts = inputs.rlPrompts;
    const content = [
      arm,
      sft[arm].key,
      prompts?.sha256 ?? [search.key, search.problems.sha256, difficulty],
      config.rl[arm],
      adam,
      guards,
      matchTokensOfKey,
    ];
    return {
      ...context(key('rl', content)),
      arm,
      params: { ...config.rl[arm], adam, guards, difficulty, iterationsPerRun },
      resume: config.resume,
      prompts,
      search: { key: search.key, problems: search.problems, params: search.params },
      sftKey: sft[arm].key,
      matchTokensOfKey,
    };
  };
  const rl = {} as Record<Arm, RlPlan>;
  // An arm that matches another's tokens needs that arm's key first; parseRunConfig rules out cycles.
  for (const arm of armOrder(config, ['search', 'direct'])) {
    const other = config.rl[arm].matchTokensOf;
    rl[arm] = rlPlan(arm, other === null ? null : rl[other].key);
  }

  return {
    schema: 'astroflow.plan/1',
    run,
    seed,
    arms: armOrder(config, trained),
    config: inputs.config,
    onFailure,
    search,
    linearize,
    sft,
    rl,
    evaluate: evaluatePlan(),
    ...(inputs.dropped?.length && { dropped: inputs.dropped }),
    ...(inputs.overlap?.length && { overlap: inputs.overlap }),
  };

  function evaluatePlan(): EvaluatePlan {
    const { benchmarks: _n, overlap: _o, concurrency: _c, bootstrapSamples: _b, ...protocol } = config.evaluate;
    const { benchmarks: _sources, ...params } = config.evaluate;
    const checkpoints: EvaluatePlan['checkpoints'] = [{ name: 'base', stage: null, stageKey: null }];
    for (const arm of trained) {
      checkpoints.push({ name: `${arm}-sft`, stage: 'sft', stageKey: sft[arm].key });
      if (config.rl[arm].iterations > 0) checkpoints.push({ name: `${arm}-rl`, stage: 'rl', stageKey: rl[arm].key });
    }
    return {
      ...context(key('evaluate', [inputs.benchmarks.map((b) => [b.name, b.problems.sha256]), protocol])),
      params,
      benchmarks: inputs.benchmarks,
      template: inputs.rendererHash,
      resume: config.resume,
      checkpoints,
    };
  }
}

function recipeContent({ recipe, model }: JobTrainerConfig): unknown {
  const { python: _python, ...content } = recipe;
  return [content, model ?? null];
}

/** What determines the text: models by name, their parameters, the prompts' words; no addresses, paths or dials. */
function languageContent({ judge, narrator, prompts }: LanguagePlan): unknown {
  const named = (model: RoleModelConfig) => [model.kind, 'model' in model ? model.model : null];
  return {
    judge: judge && { ...judge, model: named(judge.model), prompt: undefined },
    narrator: narrator && { ...narrator, model: named(narrator.model), prompts: undefined },
    prompts: prompts.sha256,
  };
}

/** Arms in an order in which a matched arm comes before the one that matches it. */
function armOrder(config: RunConfig, arms: readonly Arm[]): Arm[] {
  return [...arms].sort(
    (a, b) => Number(config.rl[a].matchTokensOf !== null) - Number(config.rl[b].matchTokensOf !== null),
  );
}
