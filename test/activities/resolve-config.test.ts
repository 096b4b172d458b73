import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunConfigInput } from '../../src/config/schema.ts';
import type { Problem } from '../../src/core/problem.ts';
import { filesOf, type Lab, openLab } from '../support/lab.ts';
import { tinyRun } from '../support/pipeline.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await openLab();
});
afterAll(() => lab.close());

const resolve = (input: unknown, workflowId = 'astro/lab', workflowType = 'astroPipeline') =>
  lab.call('resolveConfig', { input, workflowId, workflowType });

async function refusal(input: unknown): Promise<{ message: string; paths: string[] }> {
  const error = await resolve(input).catch((caught: unknown) => caught as ApplicationFailure);
  expect(error).toMatchObject({ type: 'InvalidConfig', nonRetryable: true });
  const { message, details } = error as ApplicationFailure;
  return { message, paths: ((details?.[0] ?? []) as { path: string }[]).map((problem) => problem.path) };
}

async function dataFile(name: string, lines: string[]): Promise<RunConfigInput> {
  const file = join(lab.folder, name);
  await writeFile(file, lines.join('\n'));
  return { ...tinyRun, search: { ...tinyRun.search, problems: { file } } };
}

describe('the run’s name', () => {
  it.each([
    ['astro/demo', 'demo'],
    ['astro/demo/search', 'demo'],
    ['My run: 7', 'my-run-7'],
    ['astro/', 'run'],
    ['a'.repeat(300), 'a'.repeat(40)],
  ])('of the workflow %j is %j', async (workflowId, run) => {
    expect((await resolve(tinyRun, workflowId)).plan.run).toBe(run);
  });

  it('is the configuration’s where it has one', async () => {
    expect((await resolve({ ...tinyRun, run: 'mine' })).plan.run).toBe('mine');
  });
});

describe('a valid configuration', () => {
  it('becomes a plan whose problem sets and resolved configuration are stored', async () => {
    const { plan } = await resolve(tinyRun);
    const problems = await lab.store.getLines<Problem>(plan.search.problems);
    expect(problems).toHaveLength(12);
    expect(plan.search.problems.count).toBe(12);
    const stored = await lab.store.getJson<{ run: string; search: { exploration: number } }>(plan.config);
    expect(stored.run).toBe('lab');
    expect(stored.search.exploration).toBe(1);
  });

  it('gives equal plans, and stores nothing twice', async () => {
    const first = await resolve(tinyRun);
    const before = await filesOf(lab);
    expect(await resolve(tinyRun)).toEqual(first);
    expect(await filesOf(lab)).toEqual(before);
  });

  it('reads problems from a file, up to a limit, blank lines aside', async () => {
    const rows = ['{"id":"a","numbers":[4,9,3],"target":39}', '', '{"id":"b","numbers":[1,2,3],"target":6}'];
    const config = await dataFile('good.jsonl', rows);
    const { plan } = await resolve(config);
    expect((await lab.store.getLines<Problem>(plan.search.problems)).map((row) => row.id)).toEqual(['a', 'b']);
    const { file } = config.search!.problems as { file: string };
    const limited = await resolve({ ...config, search: { ...config.search, problems: { file, limit: 1 } } });
    expect(limited.plan.search.problems.count).toBe(1);
    expect(limited.plan.search.key).toBe(plan.search.key);
  });

  it('is taken by a stage with its selector', async () => {
    expect(await resolve({ ...tinyRun, arm: 'direct' }, 'astro/x', 'fineTune')).toMatchObject({ arm: 'direct' });
    expect(await resolve({ ...tinyRun, problem: 5 }, 'astro/x', 'searchProblem')).toMatchObject({ problem: 5 });
  });
});

describe('an invalid configuration', () => {
  it('lists all its problems, each with its path', async () => {
    const { message, paths } = await refusal({ seed: 'x', search: { rounds: 0, bogus: 1 } });
    expect(paths).toEqual(['seed', 'search.rounds', 'search.bogus']);
    for (const path of paths) expect(message).toContain(path);
  });

  it.each([null, 'text', 7, [1]])('may be any JSON: %j is no crash', async (input) => {
    if (input === null) expect((await resolve(input)).plan.schema).toBe('astroflow.plan/1');
    else expect((await refusal(input)).paths).toEqual(['(whole configuration)']);
  });

  it('does not pass a hand-made plan off as a configuration', async () => {
    expect((await refusal({ plan: {} })).paths).toEqual(['plan']);
  });

  it('names file and line of every malformed row', async () => {
    const config = await dataFile('bad.jsonl', [
      '{"id":"a","numbers":[4,9,3],"target":39}',
      '{"id":"b","numbers":"4 9 3","target":39}',
      'not json',
      '{"id":"a","numbers":[1,2,3],"target":6}',
    ]);
    const { file } = config.search!.problems as { file: string };
    const { message, paths } = await refusal(config);
    expect(paths).toEqual([`${file}:2`, `${file}:3`, `${file}:4`]);
    expect(message).toContain('id "a" stands on line 1 too');
  });

  it('says when a file is empty or not there', async () => {
    expect((await refusal(await dataFile('empty.jsonl', ['', '']))).message).toContain('holds no problem');
    const missing = { ...tinyRun, search: { problems: { file: '/nowhere/rows.jsonl' } } };
    expect((await refusal(missing)).message).toContain('cannot read /nowhere/rows.jsonl');
  });

  it('says when the task cannot make so many problems, for every set at once', async () => {
    const { paths } = await refusal({
      ...tinyRun,
      task: { name: 'countdown', numbers: 2, max: 3 },
      search: { problems: { split: 'train', count: 5000 } },
      rl: { prompts: { split: 'no-such-split', count: 1 } },
    });
    expect(paths).toEqual(expect.arrayContaining(['search.problems', 'rl.prompts']));
  });

  it('stays a small failure however broken the data is', async () => {
    const config = await dataFile(
      'broken.jsonl',
      Array.from({ length: 3000 }, () => '{"id":"a"}'),
    );
    const { message, paths } = await refusal(config);
    expect(paths).toHaveLength(100);
    expect(message).toContain('3000 problem(s)');
    expect(message).toContain('and 2900 more');
  });

  it('names the tokenizer that cannot be read', async () => {
    const config = { ...tinyRun, policy: { ...tinyRun.policy, tokenizer: '/nowhere' } };
    await expect(resolve(config)).rejects.toThrow('/nowhere');
  });
});

describe('the prompts of judge and narrator', () => {
  const judged = (prompt?: string) => ({
    ...tinyRun,
    roles: { judge: { model: { kind: 'scripted' as const }, ...(prompt && { prompt }) } },
  });

  it('are stored by their contents, so that editing a file changes the next run only', async () => {
    const file = join(lab.folder, 'judge.md');
    const text = '# User\n{{problem}}\n{{solution}}\nVERDICT?';
    await writeFile(file, text);
    const { plan } = await resolve(judged(file));
    const { prompts } = plan.linearize.roles!;
    await writeFile(file, `${text} Be strict.`);
    expect(await lab.store.getJson(prompts)).toEqual({ judge: text });
    const edited = (await resolve(judged(file))).plan.linearize;
    expect(edited.roles?.prompts.sha256).not.toBe(prompts.sha256);
    expect(edited.key).not.toBe(plan.linearize.key);
  });

  it('are not read where no model fills a role', async () => {
    expect((await resolve(tinyRun)).plan.linearize).not.toHaveProperty('roles');
  });

  it('are refused when they cannot be used, all at once and each with its path', async () => {
    const file = join(lab.folder, 'bad.md');
    await writeFile(file, '# User\n{{problem}} {{answer}}');
    const { message, paths } = await refusal({
      ...judged(file),
      roles: { ...judged(file).roles, narrator: { prompts: { step: '/nowhere/step.md' } } },
    });
    expect(paths).toEqual([
      'roles.narrator',
      'roles.judge.prompt',
      'roles.judge.prompt',
      'roles.narrator.prompts.step',
    ]);
    expect(message).toContain('the task "countdown" has no phrases for a narrator');
    expect(message).toContain('unknown placeholder {{answer}}');
    expect(message).toContain('the placeholder {{solution}} is missing');
    expect(message).toContain('cannot read /nowhere/step.md');
  });
});

describe('a problem whose answer cannot be checked', () => {
  /** One solution, several, one, none. */
  const puzzles = ['.4.2 23.1 .... 321.', '.4.2 23.1 .... ....', '43.. .1.4 .2.. ...2', '.4.2 23.1 1... 321.'];
  const sudokuRun = async (name: string, rows: string[], limit?: number): Promise<RunConfigInput> => {
    const file = join(lab.folder, name);
    await writeFile(file, rows.map((puzzle) => JSON.stringify({ puzzle })).join('\n'));
    return {
      ...tinyRun,
      task: { name: 'sudoku4' },
      search: { problems: { split: 'train', count: 4 } },
      evaluate: { ...tinyRun.evaluate, benchmarks: { puzzles: { file, ...(limit && { limit }) } } },
    };
  };

  it('is left out and counted, and listed with file and line', async () => {
    const config = await sudokuRun('puzzles.jsonl', puzzles);
    const { plan } = await resolve(config);
    expect(plan.evaluate.benchmarks[0]?.problems.count).toBe(2);
    expect(plan.dropped).toEqual([{ set: 'evaluate.benchmarks.puzzles', count: 2, list: expect.any(String) }]);
    const list = await lab.store.find(plan.dropped![0]!.list);
    const { file } = config.evaluate!.benchmarks!.puzzles as { file: string };
    expect(await lab.store.getLines(list!)).toEqual([
      { at: `${file}:2`, reason: 'has more than one solution' },
      { at: `${file}:4`, reason: 'has no solution' },
    ]);
    expect((await resolve(config)).plan).toEqual(plan);
  });

  it('is said in the log', async () => {
    const said: string[] = [];
    const logger = new DefaultLogger('WARN', ({ message }) => said.push(message));
    const environment = new MockActivityEnvironment({ attempt: 1 }, { logger });
    const input = { input: await sudokuRun('loud.jsonl', puzzles), workflowId: 'astro/lab', workflowType: 'x' };
    await lab.call('resolveConfig', input, { environment });
    expect(said).toEqual([
      expect.stringMatching(/^2 problems of puzzles left out: .* cannot be checked, see problems/),
    ]);
  });

  it('does not count towards the limit', async () => {
    const limited = (await resolve(await sudokuRun('limited.jsonl', puzzles, 2))).plan;
    expect(limited.evaluate.benchmarks[0]?.problems.count).toBe(2);
    expect(limited.dropped).toMatchObject([{ count: 1 }]);
  });

  it('leaves nothing to tell where there is none', async () => {
    expect((await resolve(await sudokuRun('clean.jsonl', [puzzles[0]!]))).plan).not.toHaveProperty('dropped');
  });

  it('refuses the run where no other is left', async () => {
    const { message, paths } = await refusal(await sudokuRun('useless.jsonl', [puzzles[1]!, puzzles[3]!]));
    expect(paths).toEqual(['evaluate.benchmarks.puzzles.file']);
    expect(message).toMatch(/no answer in .* can be checked, so all 2 problems would be left out/);
    expect(message).toContain('useless.jsonl:1: has more than one solution');
  });
});

describe('a test problem in the training data', () => {
  const row = (id: string, numbers: number[], target: number) => JSON.stringify({ id, numbers, target });
  const overlapping = async (name: string, changes: RunConfigInput = {}): Promise<RunConfigInput> => {
    const [train, test, rl] = ['train', 'test', 'rl'].map((kind) => join(lab.folder, `${name}-${kind}.jsonl`));
    await writeFile(train!, [row('a', [4, 9, 3], 39), row('b', [1, 2, 3], 6)].join('\n'));
    await writeFile(rl!, [row('c', [7, 8, 2], 58)].join('\n'));
    await writeFile(test!, [row('x', [4, 9, 3], 39), row('y', [4, 9, 3], 23), row('z', [7, 8, 2], 58)].join('\n'));
    return {
      ...tinyRun,
      search: { ...tinyRun.search, problems: { file: train! } },
      rl: { ...tinyRun.rl, prompts: { file: rl! } },
      evaluate: { ...tinyRun.evaluate, benchmarks: { mine: { file: test! } } },
      ...changes,
    };
  };

  it('refuses the run, stores nothing, and lists both problems and what to do', async () => {
    const config = await overlapping('refused');
    const before = await filesOf(lab);
    const { message, paths } = await refusal(config);
    expect(paths).toEqual(['evaluate.overlap', 'evaluate.benchmarks.mine', 'evaluate.benchmarks.mine']);
    expect(message).toContain('2 test problems also stand in the training data');
    expect(message).toContain('"x" is "a" of search.problems');
    expect(message).toContain('"z" is "c" of rl.prompts');
    expect(await filesOf(lab)).toEqual(before);
  });

  it('is listed and counted where the configuration allows it, and changes no key', async () => {
    const config = await overlapping('allowed');
    const { plan } = await resolve({ ...config, evaluate: { ...config.evaluate, overlap: 'allow' } });
    expect(plan.overlap).toEqual([
      {
        set: 'evaluate.benchmarks.mine',
        count: 2,
        exact: 2,
        leftOut: false,
        list: expect.stringContaining('runs/lab/overlap-'),
      },
    ]);
    const list = await lab.store.find(plan.overlap![0]!.list);
    const found = { benchmark: 'evaluate.benchmarks.mine', how: 'exact' };
    expect(await lab.store.getLines(list!)).toEqual([
      { ...found, problem: 'x', training: 'search.problems', trainingProblem: 'a' },
      { ...found, problem: 'z', training: 'rl.prompts', trainingProblem: 'c' },
    ]);
  });

  it('takes the training problems out, all of them, where the configuration says so', async () => {
    const config = await overlapping('out');
    const twice = { file: join(lab.folder, 'twice.jsonl') };
    await writeFile(twice.file, [row('a', [4, 9, 3], 39), row('a2', [4, 9, 3], 39), row('b', [1, 2, 3], 6)].join('\n'));
    const search = { ...tinyRun.search, problems: twice };
    const evaluate = { ...config.evaluate, overlap: 'leave-out' as const };
    const { plan } = await resolve({ ...config, search, rl: tinyRun.rl, evaluate });
    expect(plan.overlap).toMatchObject([{ count: 1, exact: 1, leftOut: true }]);
    expect(await lab.store.getLines<Problem>(plan.search.problems)).toMatchObject([{ id: 'b' }]);
    expect(await lab.store.getLines((await lab.store.find(plan.overlap![0]!.list))!)).toHaveLength(2);
  });

  it('stays a small failure however many there are', async () => {
    const file = join(lab.folder, 'many.jsonl');
    const rows = Array.from({ length: 2000 }, (_, i) => row(`p${i}`, [1, 2, 3], i));
    await writeFile(file, rows.join('\n'));
    const { message, paths } = await refusal({
      ...tinyRun,
      search: { problems: { file } },
      evaluate: { benchmarks: { mine: { file } } },
    });
    expect(paths).toHaveLength(100);
    expect(message).toContain('2000 test problems also stand');
  });

  it('does not happen between generated splits', async () => {
    for (const task of [{ name: 'countdown' }, { name: 'sudoku4' }] as const) {
      const benchmark = task.name === 'countdown' ? 'test-problems' : 'test';
      const { plan } = await resolve({
        ...tinyRun,
        task,
        search: { problems: { split: 'train', count: 200 } },
        evaluate: { benchmarks: { mine: { split: benchmark, count: 200 } } },
      });
      expect(plan).not.toHaveProperty('overlap');
    }
  });
});
