import { describe, expect, it } from 'vitest';
import { buildPlan, type PlanInputs } from '../../src/config/build-plan.ts';
import { parseRunConfig } from '../../src/config/parse.ts';
import type { Plan } from '../../src/config/plan.ts';
import type { RunConfigInput } from '../../src/config/schema.ts';
import type { ArtifactRef } from '../../src/core/artifact.ts';

const ref = (name: string, sha256 = name.repeat(8)): ArtifactRef => ({ uri: name, sha256, bytes: 1, count: 10 });

const inputs: PlanInputs = {
  run: 'r',
  config: ref('config'),
  taskVersion: 1,
  rendererHash: 'renderer',
  searchProblems: ref('problems'),
  rlPrompts: null,
  benchmarks: [{ name: 'b', problems: ref('benchmark') }],
  prompts: null,
};

function planOf(config: RunConfigInput, changed: Partial<PlanInputs> = {}): Plan {
  const parsed = parseRunConfig(config);
  if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems));
  return buildPlan(parsed.config, { ...inputs, ...changed });
}

type Stage = 'search' | 'linearize' | 'sft search' | 'sft direct' | 'rl search' | 'rl direct' | 'evaluate';

const keysOf = (plan: Plan): Record<Stage, string> => ({
  search: plan.search.key,
  linearize: plan.linearize.key,
  'sft search': plan.sft.search.key,
  'sft direct': plan.sft.direct.key,
  'rl search': plan.rl.search.key,
  'rl direct': plan.rl.direct.key,
  evaluate: plan.evaluate.key,
});

/** Stages whose keys differ from those of the default plan. */
function changedBy(config: RunConfigInput, changed: Partial<PlanInputs> = {}): Stage[] {
  const before = keysOf(planOf({}));
  const after = keysOf(planOf(config, changed));
  return (Object.keys(before) as Stage[]).filter((stage) => before[stage] !== after[stage]);
}

const everyStage = Object.keys(keysOf(planOf({}))) as Stage[];
const afterSearch = everyStage.filter((stage) => stage !== 'search' && stage !== 'evaluate');
const rl: Stage[] = ['rl search', 'rl direct'];

describe('content keys', () => {
  it('are those that stored artifacts of the default configuration have', () => {
    // Of before there were several servers, publishing and priorities: runs that people have go on with their trees.
    expect(keysOf(planOf({}))).toEqual({
      search: '57e72bf5c52aad5a',
      linearize: 'ab3d089afb1b3eac',
      'sft search': 'b13cb129f3c38b44',
      'sft direct': 'cd52e5e0453a5a3d',
      'rl search': '8fff240da08b0044',
      'rl direct': '54c590da469d4451',
      evaluate: '965b400a1d2a3b58',
    });
  });

  it.each<[string, RunConfigInput]>([
    ['the seed', { seed: 2 }],
    ['the salt', { salt: 'fresh' }],
    ['the task', { task: { name: 'countdown', numbers: 4 } }],
    ['the base model', { policy: { base: 'other' } }],
    ['its revision', { policy: { revision: '2' } }],
    ['the kind of the sampler', { policy: { sampler: { kind: 'scripted' } } }],
    ['what the sampler is sent', { policy: { sampler: { kind: 'openai', prompts: 'text' } } }],
  ])('all change with %s', (_what, config) => {
    expect(changedBy(config)).toEqual(everyStage);
  });

  it('all change with the vocabulary and with the task’s rules', () => {
    expect(changedBy({}, { rendererHash: 'other' })).toEqual(everyStage);
    expect(changedBy({}, { taskVersion: 2 })).toEqual(everyStage);
  });

  it.each<[string, RunConfigInput]>([
    ['concurrency', { search: { concurrency: 3 }, evaluate: { concurrency: 1 } }],
    ['shards and pages', { search: { shards: 3, pageSize: 7 } }],
    ['rounds per activity', { search: { roundsPerActivity: 1 } }],
    ['steps per chunk', { sft: { stepsPerChunk: 1 } }],
    ['iterations per run', { rl: { iterationsPerRun: 1 } }],
    ['statistics', { evaluate: { bootstrapSamples: 100 } }],
    ['addresses and keys', { policy: { sampler: { kind: 'openai', baseUrl: 'http://h:1', apiKey: { env: 'KEY' } } } }],
    [
      'the number of servers, their names and limits',
      {
        policy: {
          sampler: { kind: 'openai', endpoints: [{ baseUrl: 'http://a' }, { name: 'b', baseUrl: 'http://b' }] },
        },
      },
    ],
    ['whose turn comes first', { policy: { sampler: { kind: 'openai', priority: 'short-first' } } }],
    [
      'how weights reach the sampler',
      { policy: { sampler: { kind: 'openai', publish: { via: 'sglang-disk', folder: '/f', base: '/b' } } } },
    ],
    ['time limits', { policy: { trainer: { kind: 'tinker', timeoutMs: 5 } } }],
    ['how a server is spoken to', { policy: { trainer: { kind: 'tinker', capabilities: { wire: 'proto' } } } }],
    ['whether overlap is allowed', { evaluate: { overlap: 'allow' } }],
    ['the name of the run', { run: 'other' }],
    ['the place of the tokenizer', { policy: { tokenizer: 'elsewhere' } }],
    ['notes', { notes: { seed: 'ours' } }],
  ])('do not change with %s', (_what, config) => {
    expect(changedBy(config)).toEqual([]);
  });

  it('of trees, rows and scores do not change with the trainer', () => {
    const changed = everyStage.filter((stage) => stage.startsWith('sft') || stage.startsWith('rl'));
    expect(changedBy({ policy: { trainer: { kind: 'tinker', loraRank: 8 } } })).toEqual(changed);
    expect(changedBy({ policy: { trainer: { kind: 'tinker', loraUnembed: false } } })).toEqual(changed);
    const untrained = keysOf(planOf({ policy: { trainer: null } }));
    expect(untrained).toMatchObject({ search: keysOf(planOf({})).search, evaluate: keysOf(planOf({})).evaluate });
  });

  it('change from the stage on whose setting changed, not before', () => {
    expect(changedBy({ search: { rounds: 4 } })).toEqual(['search', ...afterSearch]);
    expect(changedBy({ linearize: { backtracks: [1] } })).toEqual(afterSearch);
    expect(changedBy({ sft: { search: { steps: 9 } } })).toEqual(['sft search', 'rl search']);
    expect(changedBy({ sft: { adam: { beta1: 0.5 } } })).toEqual(['sft search', 'sft direct', ...rl]);
    expect(changedBy({ rl: { search: { iterations: 9 } } })).toEqual(['rl search']);
    expect(changedBy({ rl: { guards: { minEntropy: 0.1 } } })).toEqual(rl);
    expect(changedBy({ rl: { difficulty: { low: 0.1 } } })).toEqual(rl);
    expect(changedBy({ evaluate: { samplesPerProblem: 9 } })).toEqual(['evaluate']);
  });

  it('keep the search’s when problems are added, so that its trees are used again', () => {
    expect(changedBy({}, { searchProblems: ref('more problems') })).toEqual(afterSearch);
  });

  it('ignore the difficulty band where RL has prompts of its own', () => {
    const own = { rlPrompts: ref('prompts') };
    expect(changedBy({}, own)).toEqual(rl);
    const banded = planOf({ rl: { difficulty: { low: 0.2 } } }, own);
    expect(banded.rl.search.key).toBe(planOf({}, own).rl.search.key);
  });

  it('do not change with what there is to tell of the problems', () => {
    const told = { set: 'search.problems', count: 1, list: 'l' };
    expect(changedBy({}, { dropped: [told], overlap: [{ ...told, exact: 1, leftOut: false }] })).toEqual([]);
  });

  it('know whose tokens an arm matches', () => {
    const plan = planOf({ rl: { direct: { matchTokensOf: 'search' } } });
    expect(plan.rl.direct.matchTokensOfKey).toBe(plan.rl.search.key);
    expect(plan.rl.search.matchTokensOfKey).toBeNull();
    expect(changedBy({ rl: { direct: { matchTokensOf: 'search' }, search: { iterations: 9 } } })).toEqual(rl);
  });
});

describe('the key of linearisation with roles', () => {
  const chat = { kind: 'openai-chat' as const, model: 'm', baseUrl: 'http://a:1' };
  const spoken: RunConfigInput = { roles: { judge: { model: chat }, narrator: {} } };
  const prompts = ref('prompts');
  const keyOf = (config: RunConfigInput, changed: Partial<PlanInputs> = { prompts }) =>
    planOf(config, changed).linearize.key;

  it.each<[string, RunConfigInput]>([
    ['the model', { roles: { judge: { model: { ...chat, model: 'n' } }, narrator: {} } }],
    ['votes', { roles: { judge: { model: chat, votes: 4 }, narrator: {} } }],
    ['the rule', { roles: { judge: { model: chat, accept: 'majority' }, narrator: {} } }],
    ['solutions judged', { roles: { judge: { model: chat, maxSolutions: 9 }, narrator: {} } }],
    ['a temperature', { roles: { judge: { model: chat }, narrator: { temperature: 0 } } }],
    ['a role left out', { roles: { judge: { model: chat } } }],
  ])('changes with %s', (_what, config) => {
    expect(keyOf(config)).not.toBe(keyOf(spoken));
  });

  it('changes with the prompts’ words, and from no roles to some', () => {
    expect(keyOf(spoken, { prompts: ref('other words') })).not.toBe(keyOf(spoken));
    expect(keyOf({}, { prompts: null })).not.toBe(keyOf(spoken));
  });

  it.each<[string, RunConfigInput]>([
    ['concurrency', { roles: { ...spoken.roles, concurrency: 3 } }],
    ['an address', { roles: { judge: { model: { ...chat, baseUrl: { env: 'JUDGE' }, timeoutMs: 7 } }, narrator: {} } }],
    [
      'the place of a prompt',
      {
        roles: {
          judge: { model: chat, prompt: 'elsewhere.md' },
          narrator: { prompts: { step: 'elsewhere.md' } },
        },
      },
    ],
  ])('does not change with %s', (_what, config) => {
    expect(keyOf(config)).toBe(keyOf(spoken));
  });
});

describe('the plan', () => {
  it('runs a matched arm before the one that matches it, whatever the order of "arms"', () => {
    expect(planOf({}).arms).toEqual(['search', 'direct']);
    expect(planOf({ arms: ['direct', 'search'], rl: { direct: { matchTokensOf: 'search' } } }).arms).toEqual([
      'search',
      'direct',
    ]);
    expect(planOf({ rl: { search: { matchTokensOf: 'direct' } } }).arms).toEqual(['direct', 'search']);
  });

  it('scores the base and what the arms made, each under the key of what made it', () => {
    const plan = planOf({ arms: ['search'] });
    expect(plan.evaluate.checkpoints).toEqual([
      { name: 'base', stage: null, stageKey: null },
      { name: 'search-sft', stage: 'sft', stageKey: plan.sft.search.key },
      { name: 'search-rl', stage: 'rl', stageKey: plan.rl.search.key },
    ]);
  });

  it('has no RL checkpoint where RL runs no iteration', () => {
    const plan = planOf({ rl: { search: { iterations: 0 }, direct: { iterations: 0 } } });
    expect(plan.evaluate.checkpoints.map((entry) => entry.name)).toEqual(['base', 'search-sft', 'direct-sft']);
  });

  it('hands each stage a slice well below what a history should hold', () => {
    const plan = planOf({});
    for (const slice of [plan.search, plan.linearize, plan.sft.search, plan.rl.search, plan.evaluate]) {
      expect(JSON.stringify(slice).length).toBeLessThan(8 * 1024);
    }
  });
});

describe('what a plan tells of the problems', () => {
  const dropped = [{ set: 'search.problems', count: 2, list: 'problems/x-dropped.jsonl' }];

  it('is passed on, and absent where there is nothing to tell', () => {
    expect(planOf({}, { dropped, overlap: [] })).toMatchObject({ dropped });
    expect(planOf({}, { dropped, overlap: [] })).not.toHaveProperty('overlap');
    expect(planOf({}, { dropped: [] })).not.toHaveProperty('dropped');
  });
});

describe('a plan without a trainer', () => {
  it('trains no arm and scores the base alone', () => {
    const plan = planOf({ policy: { trainer: null } });
    expect(plan.arms).toEqual([]);
    expect(plan.evaluate.checkpoints).toEqual([{ name: 'base', stage: null, stageKey: null }]);
  });
});
