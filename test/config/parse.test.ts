import { describe, expect, it } from 'vitest';
import { type ConfigProblem, parseRunConfig, parseStageInput } from '../../src/config/parse.ts';

function problemsOf(input: unknown): ConfigProblem[] {
  const parsed = parseRunConfig(input);
  return 'problems' in parsed ? parsed.problems : [];
}

const pathsOf = (input: unknown): string[] => problemsOf(input).map((problem) => problem.path);

describe('a configuration', () => {
  it('may leave out everything', () => {
    for (const input of [undefined, null, {}]) {
      const parsed = parseRunConfig(input);
      expect('config' in parsed && parsed.config.search.rounds).toBe(3);
    }
  });

  it('keeps what a section sets and fills in the rest of it', () => {
    const parsed = parseRunConfig({ rl: { search: { iterations: 7 } }, sft: { adam: { beta2: 0.9 } } });
    if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems));
    expect(parsed.config.rl.search).toMatchObject({ iterations: 7, groupSize: 8 });
    expect(parsed.config.sft.adam).toMatchObject({ beta1: 0.9, beta2: 0.9, weightDecay: 0.01 });
    expect(parsed.config.rl.adam.beta2).toBe(0.95);
  });

  it('reports every problem at once, each with its path', () => {
    const problems = problemsOf({
      seed: -1,
      arms: ['search', 'search'],
      search: { rounds: '3', leavesPerRound: 1.5, leafs: 2 },
      rl: { search: { clipHigh: 0.5 } },
      serach: {},
    });
    expect(problems.map((problem) => problem.path).sort()).toEqual([
      'arms',
      'rl.search.clipHigh',
      'search.leafs',
      'search.leavesPerRound',
      'search.rounds',
      'seed',
      'serach',
    ]);
    expect(problems.filter((problem) => problem.message === 'unknown field').map((problem) => problem.path)).toEqual([
      'search.leafs',
      'serach',
    ]);
  });

  it('takes secrets by the names of variables only, and does not repeat one that was typed', () => {
    const problems = problemsOf({
      policy: {
        sampler: { kind: 'openai', baseUrl: 'https://me:pass-word@host/v1', apiKey: 'sk-typed' },
        trainer: {
          kind: 'job',
          launcher: { kind: 'ray', token: 'ray-typed' },
          recipe: { kind: 'trl' },
          folder: '/jobs',
        },
      },
      roles: { judge: { model: { kind: 'openai-chat', model: 'm', baseUrl: 'http://h', apiKey: 'sk-typed' } } },
    });
    const secret =
      'a secret is never written here, where the history keeps it: write {"env": "NAME"} and set that variable';
    expect(problems).toEqual([
      {
        path: 'policy.sampler.baseUrl',
        message: 'an address with a password: write {"env": "NAME"} and set the variable',
      },
      { path: 'policy.sampler.apiKey', message: secret },
      { path: 'policy.trainer.launcher.token', message: secret },
      { path: 'roles.judge.model.apiKey', message: secret },
    ]);
  });

  it.each([
    ['text', '(whole configuration)'],
    [[], '(whole configuration)'],
    [7, '(whole configuration)'],
    [{ task: { name: 'countdown', min: 5, max: 3 } }, 'task.min'],
    [{ task: { name: 'countdown', minTarget: 50, maxTarget: 20 } }, 'task.minTarget'],
    [{ task: { name: 'chess' } }, 'task.name'],
    [{ policy: { sampler: { kind: 'telepathy' } } }, 'policy.sampler.kind'],
    [{ policy: { trainer: { kind: 'tinker', baseUrl: { env: 'lower case' } } } }, 'policy.trainer.baseUrl.env'],
    [{ search: { pageSize: 201 } }, 'search.pageSize'],
    [{ linearize: { backtracks: [] } }, 'linearize.backtracks'],
    [{ evaluate: { benchmarks: { 'Not a slug': { split: 'test', count: 1 } } } }, 'evaluate.benchmarks.Not a slug'],
    [{ evaluate: { benchmarks: {} } }, 'evaluate.benchmarks'],
    [{ run: 'Über' }, 'run'],
    [{ notes: { seed: 'theirs' } }, 'notes.seed'],
  ])('%j is wrong at %s', (input, path) => {
    expect(pathsOf(input)).toEqual([path]);
  });

  it('complains about the alternative that was meant, not about all of them', () => {
    expect(problemsOf({ search: { problems: { split: 'train' } } })).toEqual([
      { path: 'search.problems.count', message: 'is missing (number)' },
    ]);
    expect(pathsOf({ search: { problems: { file: 'rows.jsonl', limit: 0 } } })).toEqual(['search.problems.limit']);
  });

  it('names the choices where there are few', () => {
    expect(problemsOf({ policy: { sampler: { kind: 'x' } } })[0]?.message).toContain(
      "'openai' | 'tinker' | 'scripted'",
    );
  });

  describe('whose arms match their tokens', () => {
    const matching = (search: unknown, direct: unknown, arms = ['search', 'direct']) =>
      pathsOf({ arms, rl: { search: { matchTokensOf: search }, direct: { matchTokensOf: direct } } });

    it('may bound one arm by the other', () => {
      expect(matching(null, 'search')).toEqual([]);
      expect(matching('direct', null)).toEqual([]);
    });

    it('may not match itself, in a circle, or an arm that does not run', () => {
      expect(matching('search', null)).toEqual(['rl.search.matchTokensOf']);
      expect(matching('direct', 'search')).toEqual(['rl.search.matchTokensOf', 'rl.direct.matchTokensOf']);
      expect(matching(null, 'search', ['direct'])).toEqual(['rl.direct.matchTokensOf']);
    });

    it('may match an arm that does not run where none does', () => {
      const rl = { direct: { matchTokensOf: 'search' } };
      expect(pathsOf({ policy: { trainer: null }, arms: ['direct'], rl })).toEqual([]);
      expect(pathsOf({ policy: { trainer: null }, rl: { search: { matchTokensOf: 'search' } } })).toHaveLength(1);
    });
  });
});

describe('the input of a stage started alone', () => {
  it('takes the selector of its workflow and nothing else', () => {
    expect(parseStageInput({ arm: 'direct' }, 'fineTune')).toMatchObject({ arm: 'direct' });
    expect(parseStageInput({ problem: 3 }, 'searchProblem')).toMatchObject({ problem: 3 });
    expect(parseStageInput({ arm: 'direct' }, 'searchCorpus')).toEqual({
      problems: [{ path: 'arm', message: 'unknown field' }],
    });
  });

  it('has defaults for its selector', () => {
    expect(parseStageInput(undefined, 'reinforce')).toMatchObject({ arm: 'search' });
    expect(parseStageInput({}, 'searchProblem')).toMatchObject({ problem: 0 });
  });

  it('needs a trainer where the stage trains', () => {
    const untrained = { policy: { trainer: null } };
    for (const workflow of ['fineTune', 'reinforce']) {
      expect(parseStageInput(untrained, workflow)).toMatchObject({ problems: [{ path: 'policy.trainer' }] });
    }
    expect(parseStageInput(untrained, 'astroPipeline')).not.toHaveProperty('problems');
    expect(parseStageInput(untrained, 'evaluate')).not.toHaveProperty('problems');
  });

  it('reports wrong selectors together with the rest', () => {
    const parsed = parseStageInput({ arm: 'both', seed: 'x' }, 'fineTune');
    expect('problems' in parsed && parsed.problems.map((problem) => problem.path)).toEqual(['arm', 'seed']);
  });
});

describe('several servers and publishing', () => {
  const of = (sampler: object, trainer?: object) => ({ policy: { sampler: { kind: 'openai', ...sampler }, trainer } });
  const endpoints = [{ baseUrl: 'http://a' }, { name: 'fast', baseUrl: { env: 'FAST' }, maxConcurrency: 8 }];

  it('are taken with names, keys and limits of their own', () => {
    expect(problemsOf(of({ endpoints, priority: 'old-first' }))).toEqual([]);
    expect(pathsOf(of({ endpoints: [], priority: 'later' }))).toEqual([
      'policy.sampler.endpoints',
      'policy.sampler.priority',
    ]);
  });

  it('need different names', () => {
    const named = [{ baseUrl: 'http://a' }, { name: 'server-0', baseUrl: 'http://b' }];
    expect(problemsOf(of({ endpoints: named }))).toEqual([
      { path: 'policy.sampler.endpoints.1.name', message: '"server-0" is another server\'s name' },
    ]);
  });

  it('do not bring vLLM the weights of a trainer without adapters', () => {
    const publish = { via: 'vllm-lora', folder: '/shared' };
    expect(pathsOf(of({ publish }, { kind: 'tinker' }))).toEqual(['policy.sampler.publish.via']);
    expect(pathsOf(of({ publish }, { kind: 'tinker', loraRank: 8 }))).toEqual([]);
    expect(pathsOf(of({ publish: { via: 'sglang-disk', folder: '/shared' } }))).toEqual([
      'policy.sampler.publish.base',
    ]);
  });
});
