import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { main } from '../../src/cli/main.ts';
import { artifactNames, type Plan } from '../../src/config/plan.ts';
import type { AnswerRecord } from '../../src/core/records.ts';
import type { RunsCompared } from '../../src/inspect/compare-runs.ts';
import type { SeedsCompared } from '../../src/inspect/compare-seeds.ts';
import type { RunsDiffer } from '../../src/inspect/diff-runs.ts';
import type { Explanation } from '../../src/inspect/explain.ts';
import { finishRun, smallRun } from '../support/finished-run.ts';
import { type Lab, openLab } from '../support/lab.ts';

let lab: Lab;
let home: string;
let plan: Plan;
let printed = '';
let errors = '';

/** Three runs: two that differ in RL, one more seed. */
beforeAll(async () => {
  lab = await openLab();
  plan = await finishRun(lab, smallRun, 'one');
  await finishRun(lab, { ...smallRun, rl: { search: { ...smallRun.rl.search, groupSize: 3 } } }, 'two');
  await finishRun(lab, { ...smallRun, seed: 2 }, 'seed-two');
  home = mkdtempSync(join(tmpdir(), 'astroflow-inspect-'));
  symlinkSync(lab.folder, join(home, 'artifacts'));
}, 60_000);
afterAll(async () => {
  rmSync(home, { recursive: true });
  await lab.close();
});
beforeEach(() => {
  [printed, errors] = ['', ''];
  vi.stubEnv('ASTROFLOW_HOME', home);
  vi.stubEnv('ASTROFLOW_ENGINE_URL', undefined);
  vi.spyOn(console, 'log').mockImplementation((text) => {
    printed += `${text}\n`;
  });
  vi.spyOn(console, 'error').mockImplementation((text) => {
    errors += `${text}\n`;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

const astroflow = (...args: string[]) => main(['node', 'astroflow', ...args]);
async function json<T>(...args: string[]): Promise<T> {
  expect(await astroflow(...args, '--json')).toBe(0);
  return JSON.parse(printed) as T;
}

describe('astroflow compare', () => {
  it('pairs two runs by problem, checkpoint by checkpoint', async () => {
    const compared = await json<RunsCompared>('compare', 'one', 'two');
    expect(compared).toMatchObject({ schema: 'astroflow.comparison/1', from: 'one', to: 'two', notCompared: [] });
    expect(compared.comparisons.map(({ to, sameAnswers, problems }) => [to, sameAnswers, problems])).toEqual([
      ['base', true, 6],
      ['search-sft', true, 6],
      ['search-rl', false, 6],
    ]);
    const rl = compared.comparisons[2]!;
    expect(rl.difference).toBeCloseTo(rl.scores.to - rl.scores.from, 12);
    expect(rl).toMatchObject({ sameProtocol: true, protocol: [], samples: { from: 2, to: 2 } });
  });

  it('prints what a person needs to judge a difference', async () => {
    expect(await astroflow('compare', 'one', 'two')).toBe(0);
    expect(printed).toContain('new-numbers (6 problems × 2 samples)');
    expect(printed).toMatch(/^search-rl .*\[.*\] +\d\.\d{3} +\d\.\d{3} +\d+\.\d$/m);
    expect(printed).toContain('Both runs use the same stored answers of base, search-sft.');
    expect(printed).toMatch(/one training seed of each run/);
    expect(printed).not.toContain('DIFFERENT WAYS');
  });

  it('says loudly where checkpoints were asked in two ways, and what differs', async () => {
    const evaluate = { ...smallRun.evaluate, maxTokens: 64, temperature: 0.5 };
    await finishRun(lab, { ...smallRun, evaluate }, 'other-cap');
    expect(await astroflow('compare', 'one', 'other-cap', '--checkpoint', 'base')).toBe(0);
    expect(printed).toContain('! ASKED OR GRADED IN DIFFERENT WAYS');
    expect(printed).toContain('decoding.maxTokens: 240 → 64');
    expect(printed).toContain('decoding.temperature: 1 → 0.5');
    expect(printed).toMatch(/^! base /m);
    printed = '';
    const { comparisons } = await json<RunsCompared>('compare', 'one', 'other-cap', '--checkpoint', 'base:search-rl');
    expect(comparisons).toMatchObject([{ from: 'base', to: 'search-rl', sameProtocol: false }]);
  });

  it('leaves out problems that only one run has', async () => {
    const benchmarks = { 'new-numbers': { split: 'test-numbers', count: 8 } };
    await finishRun(lab, { ...smallRun, evaluate: { ...smallRun.evaluate, benchmarks } }, 'more-problems');
    const { comparisons } = await json<RunsCompared>('compare', 'one', 'more-problems', '--checkpoint', 'base');
    expect(comparisons).toMatchObject([{ problems: 6, onlyFrom: 0, onlyTo: 2, changed: 0, sameProtocol: false }]);
  });

  it('says so where nothing can be paired, instead of a difference of nothing', async () => {
    expect(await astroflow('compare', 'one', 'seed-two', '--checkpoint', 'search-rl')).toBe(0);
    expect(printed).toMatch(/search-rl +no problem in common/);
    expect(printed).toContain('there is --seeds');
    expect(printed).not.toMatch(/search-rl .*0\.0 /);
  });

  it('leaves out problems that have one id and are not the same', async () => {
    const rows = (second: number[]) => [
      { id: 'a', numbers: [4, 9, 3], target: 39 },
      { id: 'b', numbers: second, target: 20 },
    ];
    for (const [run, second] of [['file-one', [4, 5, 1]] as const, ['file-two', [5, 3, 5]] as const]) {
      const file = join(home, `${run}.jsonl`);
      writeFileSync(
        file,
        rows([...second])
          .map((row) => JSON.stringify(row))
          .join('\n'),
      );
      await finishRun(lab, { ...smallRun, evaluate: { ...smallRun.evaluate, benchmarks: { own: { file } } } }, run);
    }
    const args = ['compare', 'file-one', 'file-two', '--checkpoint', 'search-sft'];
    const { comparisons } = await json<RunsCompared>(...args);
    expect(comparisons).toMatchObject([{ problems: 1, changed: 1, onlyFrom: 0, onlyTo: 0 }]);
    expect(await astroflow(...args)).toBe(0);
    expect(printed).toContain('own: 1 problem has the same id in both runs and is not the same: left out.');
  });

  it.each([
    [['one'], 'Name two runs'],
    [['one', 'two', 'seed-two'], 'Name two runs'],
    [['one', 'nothing'], 'nothing'],
    [['one', 'two', '--checkpoint', 'best'], 'one has no checkpoint "best". It has base, search-sft, search-rl.'],
    [['one', 'two', '--checkpoint', 'base:best'], 'two has no checkpoint "best"'],
    [['--seeds', 'one', 'two'], 'two and one both have the seed 1'],
    [['--seeds', 'one'], 'Name two runs or more'],
  ])('refuses %j in words', async (args, message) => {
    expect(await astroflow('compare', ...args)).toBe(1);
    expect(errors).toContain(message);
    expect(errors).not.toContain('    at ');
    expect(printed).toBe('');
  });

  it('shows the spread between training seeds, and what else differs', async () => {
    const { runs, scores, comparisons, alsoDiffers } = await json<SeedsCompared>(
      'compare',
      '--seeds',
      'one',
      'seed-two',
    );
    expect(runs).toEqual([
      { run: 'one', seed: 1 },
      { run: 'seed-two', seed: 2 },
    ]);
    expect(scores.map(({ checkpoint }) => checkpoint)).toEqual(['base', 'search-sft', 'search-rl']);
    for (const { values, mean, sd, low, high } of scores) {
      expect(mean).toBeCloseTo((values[0]! + values[1]!) / 2, 12);
      expect(sd).toBeCloseTo(Math.abs(values[0]! - values[1]!) / Math.SQRT2, 12);
      expect([low! >= 0, high! <= 1]).toEqual([true, true]);
    }
    expect(comparisons.map(({ from, to }) => `${from} ${to}`)).toEqual(['base search-rl', 'search-sft search-rl']);
    expect(alsoDiffers).toEqual(['problems of the benchmarks']);
    printed = '';
    expect(await astroflow('compare', '--seeds', 'one', 'seed-two')).toBe(0);
    expect(printed).toContain('2 training seeds: one (1), seed-two (2)');
    expect(printed).toContain('! These differ as well');
  });
});

describe('astroflow diff', () => {
  it('tells configuration, stages that are shared, and results', async () => {
    const { config, keys, versions, results } = await json<RunsDiffer>('diff', 'one', 'two');
    expect(config).toEqual([{ path: 'rl.search.groupSize', from: 4, to: 3 }]);
    expect(Object.fromEntries(keys.map(({ stage, shared }) => [stage, shared]))).toEqual({
      ...{ search: true, 'problems of search': true, linearize: true, 'sft search': true, 'rl search': false },
      ...{ evaluate: true, 'problems of new-numbers': true },
    });
    expect(versions).toEqual([]);
    expect(results?.some(({ path }) => path === 'tokens.rl search')).toBe(true);
    printed = '';
    expect(await astroflow('diff', 'one', 'two')).toBe(0);
    expect(printed).toContain('rl.search.groupSize: 4 → 3');
    expect(printed).toMatch(/search +=/);
    expect(printed).toContain('Versions: the same');
  });

  it('works before a run has a summary', async () => {
    await lab.plan({ ...smallRun, seed: 9 }, 'astro/begun');
    const { config, versions, results } = await json<RunsDiffer>('diff', 'one', 'begun');
    expect(config).toEqual([{ path: 'seed', from: 1, to: 9 }]);
    expect([versions, results]).toEqual([null, null]);
  });
});

describe('astroflow explain', () => {
  const answers = async (name: string) => {
    const { evaluate } = plan;
    const entry = evaluate.checkpoints.find((one) => one.name === name)!;
    const ref = await lab.store.find(artifactNames.answers(evaluate.key, entry, 'new-numbers', 0));
    return lab.store.getLines<AnswerRecord>(ref!);
  };

  it('goes from an answer to checkpoint, groups, rows, trees and calls', async () => {
    const [, stored] = await answers('search-rl');
    const found = await json<Explanation>('explain', 'one', `new-numbers/${stored!.problemId}/1@search-rl`);
    expect(found.answer).toMatchObject({ text: stored!.text, callId: stored!.callId, sample: 1 });
    expect(found.answer.attempts.length).toBeGreaterThanOrEqual(1);
    expect(found.others.map(({ checkpoint, of }) => [checkpoint, of])).toEqual([
      ['base', 2],
      ['search-sft', 2],
      ['search-rl', 2],
    ]);
    expect(found.lineage.map(({ stage }) => stage)).toEqual(['rl', 'sft', 'linearize', 'search', 'base']);
    expect(found.kinds.map(({ name, problems }) => [name, problems])).toEqual([
      ['the same numbers', 0],
      ['the same target', expect.any(Number)],
      ['as many numbers', 8],
    ]);
    expect(found).toMatchObject({ groupsFound: 12, rowsFound: expect.any(Number) });
    expect(found.groups).toHaveLength(3);
    expect(found.groups.every(({ rewards, callId }) => rewards.length === 4 && callId.startsWith('rl/'))).toBe(true);
    expect(found.rows.length).toBeGreaterThan(0);
    expect(found.trees.map(({ slug }) => slug)).toEqual([...new Set(found.rows.map(({ tree }) => tree))]);
    for (const tree of found.trees) {
      expect(tree.trace.at(-1)).toMatchObject({ correct: true });
      // Each node's round made a call that is named.
      for (const { round, node } of tree.trace)
        if (node > 0) expect(tree.calls.some((call) => call.includes(`/${tree.slug}/${round}/`))).toBe(true);
    }
    expect(found.calls.map(({ call }) => call)).toContain(stored!.callId);
  });

  it('finds an answer by row, by words and without its benchmark, and takes the last checkpoint', async () => {
    const [stored] = await answers('search-rl');
    for (const item of ['new-numbers/0', stored!.problemId, `${stored!.problemId}/0@search-rl`]) {
      printed = '';
      const found = await json<Explanation>('explain', 'one', item);
      expect(found).toMatchObject({ problem: { id: stored!.problemId, row: 0 }, checkpoint: 'search-rl' });
    }
  });

  it('says that nothing was trained behind the base', async () => {
    expect(await astroflow('explain', 'one', 'new-numbers/0@base')).toBe(0);
    expect(printed).toContain('no training data is behind it');
    expect(printed).not.toContain('Rows of fine-tuning');
  });

  it('keeps its output bounded', async () => {
    const found = await json<Explanation>('explain', 'one', 'new-numbers/0', '--limit', '1');
    expect([found.groups.length, found.rows.length, found.trees.length]).toEqual([1, 1, 1]);
    expect(found.rowsFound).toBeGreaterThan(1);
  });

  it.each([
    ['new-numbers/99', 'is not one problem of new-numbers'],
    ['new-number/0', '"new-number/0" is not one problem of new-numbers. By row, slug or words, for example:'],
    ['new-numbers/0@best', 'one has no checkpoint "best". It has base, search-sft, search-rl.'],
    ['new-numbers/0/7', 'one has 2 samples of each problem, 0 to 1.'],
    ['new-numbers', 'is not one problem of new-numbers'],
  ])('refuses %s with what may have been meant', async (item, message) => {
    expect(await astroflow('explain', 'one', item)).toBe(1);
    expect(errors).toContain(message);
    expect(errors).not.toContain('    at ');
  });

  it('says that a run has not been evaluated yet', async () => {
    await lab.plan({ ...smallRun, seed: 11 }, 'astro/early');
    expect(await astroflow('explain', 'early', 'new-numbers/0')).toBe(1);
    expect(errors).toContain('its evaluation is not finished');
  });
});
