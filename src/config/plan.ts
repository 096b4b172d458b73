import type { ArtifactRef } from '../core/artifact.ts';
import type { Arm, PolicyConfig, RunConfig } from './schema.ts';

/**
 * What `resolveConfig` makes of a configuration: defaults written out, problem sets stored, content keys computed.
 * Every stage gets its own slice and nothing else, small enough to be the input of each of its children.
 */
export interface Plan {
  schema: 'astroflow.plan/1';
  run: string;
  seed: number;
  arms: Arm[];
  /** The resolved configuration, stored under the run. */
  config: ArtifactRef;
  onFailure?: OnFailure;
  search: SearchPlan;
  linearize: LinearizePlan;
  sft: Record<Arm, SftPlan>;
  rl: Record<Arm, RlPlan>;
  evaluate: EvaluatePlan;
  /** By problem set; absent where none was left out. */
  dropped?: DroppedProblems[];
  /** By benchmark; absent where there is none. A plan has one only if the configuration does not refuse it. */
  overlap?: OverlapCount[];
}

/** Problems left out because their answers cannot be checked. */
export interface DroppedProblems {
  /** The set's field: `evaluate.benchmarks.NAME`. */
  set: string;
  count: number;
  /** Name of the stored list. */
  list: string;
}

/** Test problems that also stand in the search or RL data; `exact` of them as a whole, the others by 13-gram. */
export interface OverlapCount extends DroppedProblems {
  exact: number;
  /** Whether the training problems were left out, so that the run's data hold none of them. */
  leftOut: boolean;
}

/** What every stage that talks to the model needs. */
export interface StageContext {
  run: string;
  /** Content key: equal keys mean equal results. First folder under `artifacts/<stage>/` and prefix of call ids. */
  key: string;
  seed: number;
  task: RunConfig['task'];
  policy: PolicyConfig;
  onFailure?: OnFailure;
}

/** Absent in the plans of runs that began before there was a choice: they fail. */
export type OnFailure = RunConfig['onFailure'];

export interface SearchPlan extends StageContext {
  params: RunConfig['search'];
  problems: ArtifactRef;
}

export interface LinearizePlan extends StageContext {
  params: RunConfig['linearize'];
  search: SearchPlan;
  /** Absent: the task's rules judge and its templates write. */
  roles?: LanguagePlan;
}

/** ASTRO's language stage: which models judge and narrate, and the prompts they get. */
export type LanguagePlan = RunConfig['roles'] & {
  /** `PromptTexts`: contents, not paths, so that an edited file cannot change a run that has begun. */
  prompts: ArtifactRef;
};

export interface SftPlan extends StageContext {
  arm: Arm;
  params: RunConfig['sft'][Arm] & { stepsPerChunk: number; adam: RunConfig['sft']['adam'] };
  /** Absent in the plans of runs that began without it: our default. */
  resume?: RunConfig['resume'];
  linearizeKey: string;
  /** The problems that the rows are of; only where a job trains, which reads texts. */
  problems?: ArtifactRef;
}

export interface RlPlan extends StageContext {
  arm: Arm;
  params: RunConfig['rl'][Arm] & Pick<RunConfig['rl'], 'adam' | 'guards' | 'iterationsPerRun' | 'difficulty'>;
  resume?: RunConfig['resume'];
  /** Problems of its own, or null: the searched ones inside the difficulty band. */
  prompts: ArtifactRef | null;
  /** Where the searched problems' trees are. */
  search: Pick<SearchPlan, 'key' | 'problems' | 'params'>;
  sftKey: string;
  /** Key of the arm's RL whose sampled tokens bound this one's. */
  matchTokensOfKey: string | null;
}

export interface EvaluatePlan extends StageContext {
  params: Omit<RunConfig['evaluate'], 'benchmarks'>;
  /** With the SHA-256 of all prompts' messages: no result depends on it, but people may ask what was asked. */
  benchmarks: { name: string; problems: ArtifactRef; prompts?: string }[];
  /** Hash of vocabulary and template, for the protocol; absent, like `prompts`, in plans of before it was kept. */
  template?: string;
  resume?: RunConfig['resume'];
  /** Checkpoints to score, in this order, and the stage key whose result names them (null: the base). */
  checkpoints: { name: string; stage: 'sft' | 'rl' | null; stageKey: string | null }[];
}

type IndexedSearch = Pick<SearchPlan, 'key' | 'problems' | 'params'>;

const indexFolder = ({ key, problems, params }: IndexedSearch) =>
  `search/${key}/index-${problems.sha256.slice(0, 12)}-by-${params.pageSize}`;

/** Artifact names that more than one stage must agree on. */
export const artifactNames = {
  problems: (sha: string) => `problems/${sha}.jsonl`,
  /** A stretch of a large set, so that whoever needs one problem does not read all. */
  problemsPart: (set: ArtifactRef, first: number) =>
    `${set.uri.replace(/\.jsonl$/, '')}/from-${String(first).padStart(7, '0')}.jsonl`,
  dropped: (sha: string) => `problems/${sha.slice(0, 16)}-dropped.jsonl`,
  /** The folder of one problem's search. */
  searchProblem: (key: string, slug: string) => `search/${key}/${slug}`,
  searchRound: (key: string, slug: string, round: number) =>
    `search/${key}/${slug}/round-${String(round).padStart(4, '0')}.json`,
  /** Answers that died with an attempt, one object an attempt: outside the search, which must not depend on kills. */
  lostCalls: (key: string, slug: string, number: number) =>
    `lost/search-${key}/${slug}/${String(number).padStart(4, '0')}.json`,
  searchTree: (key: string, slug: string) => `search/${key}/${slug}/tree.json`,
  /** One page of trees. A search key serves any problem set and any page size, so both are part of the name. */
  searchIndex: (search: IndexedSearch, first: number) =>
    `${indexFolder(search)}/from-${String(first).padStart(7, '0')}.jsonl`,
  searchResult: (search: IndexedSearch) => `${indexFolder(search)}/result.json`,
  rowsPart: ({ key, search }: Pick<LinearizePlan, 'key' | 'search'>, first: number) =>
    `linearize/${key}/parts-of-${search.params.pageSize}/from-${String(first).padStart(7, '0')}.jsonl`,
  prompts: (sha: string) => `prompts/${sha}.json`,
  /** What judge and narrator made of one tree. */
  treeRows: (key: string, slug: string) => `linearize/${key}/${slug}/rows.json`,
  /** One answer of a judge (`judge-7`) or narrator (`narrate-search-0-3`). */
  roleAnswer: (key: string, slug: string, ask: string) => `linearize/${key}/${slug}/${ask}.json`,
  rows: (key: string, arm: Arm) => `linearize/${key}/${arm}.jsonl`,
  funnel: (key: string) => `linearize/${key}/funnel.json`,
  /** What a stage's training job left. */
  trained: (stage: 'sft' | 'rl', key: string) => `${stage}/${key}/trained.json`,
  sftStep: (key: string, step: number) => `sft/${key}/step-${String(step).padStart(5, '0')}.json`,
  /** A forward pass after a checkpoint, from 0: what a model restored there must see again. */
  sftPass: (key: string, step: number, pass: number) => `sft/${key}/pass-${String(step).padStart(5, '0')}-${pass}.json`,
  rlPrompts: (key: string) => `rl/${key}/prompts.jsonl`,
  rollouts: (key: string, iteration: number) =>
    `rl/${key}/iter-${String(iteration).padStart(4, '0')}/rollouts-00.jsonl`,
  update: (key: string, iteration: number) => `rl/${key}/iter-${String(iteration).padStart(4, '0')}/update.json`,
  rlPass: (key: string, iteration: number, pass: number) =>
    `rl/${key}/iter-${String(iteration).padStart(4, '0')}/pass-${pass}.json`,
  /** A stage's summary: its presence means the stage is finished. */
  result: (stage: 'linearize' | 'sft' | 'rl', key: string) => `${stage}/${key}/result.json`,
  answers: (key: string, entry: { name: string; stageKey: string | null }, benchmark: string, first: number) =>
    `evaluate/${key}/${entry.name}${entry.stageKey === null ? '' : `-${entry.stageKey}`}/${benchmark}-${String(first).padStart(6, '0')}.jsonl`,
  /** Which checkpoints were scored is part of an evaluation's result, not of its key: answers serve any selection. */
  evaluationResult: (plan: Pick<EvaluatePlan, 'key' | 'checkpoints'>) =>
    `evaluate/${plan.key}/result-${plan.checkpoints.map((c) => c.stageKey?.slice(0, 8) ?? c.name).join('-')}.json`,
  /** Right answers of every problem by checkpoint. */
  matrix: (run: string) => `runs/${run}/matrix.jsonl`,
  overlap: (run: string, sha: string) => `runs/${run}/overlap-${sha.slice(0, 12)}.jsonl`,
  config: (run: string, sha: string) => `runs/${run}/config-${sha.slice(0, 12)}.json`,
  run: (run: string, file: 'plan.json' | 'summary.json' | 'report.md' | 'report.html') => `runs/${run}/${file}`,
};
