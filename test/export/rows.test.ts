import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { artifactNames } from '../../src/config/plan.ts';
import type { Problem } from '../../src/core/problem.ts';
import type { RolloutRecord, SftRow } from '../../src/core/records.ts';
import { getTask } from '../../src/core/tasks/index.ts';
import { exportRows, type RowsReport } from '../../src/export/rows.ts';
import { createServices } from '../../src/services/index.ts';
import { openTrainedRun, type TrainedRun } from '../support/trained-run.ts';

let run: TrainedRun;
let folder: string;
let report: RowsReport;
beforeAll(async () => {
  run = await openTrainedRun();
  folder = await mkdtemp(join(tmpdir(), 'astroflow-rows-'));
  report = await rowsOf(folder);
});
afterAll(async () => {
  await rm(folder, { recursive: true });
  await run.lab.close();
});

function rowsOf(into: string, plan = run.plan): Promise<RowsReport> {
  const { renderer } = createServices(plan.search.policy, {});
  return exportRows(plan, plan.arms, { store: run.lab.store, renderer, signal: new AbortController().signal }, into);
}

async function linesOf<T>(name: string): Promise<T[]> {
  const text = await readFile(join(folder, `${name}.jsonl`), 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as T);
}

async function stored<T>(name: string): Promise<T[]> {
  const ref = await run.lab.store.find(name);
  return ref === null ? [] : run.lab.store.getLines<T>(ref);
}

describe('the rows of a run', () => {
  it('are all there, in both formats, and the card says what is not there yet', async () => {
    expect(report.sets.map(({ name }) => name)).toEqual([
      'sft-search',
      'prompts-search',
      'rollouts-search',
      'sft-direct',
    ]);
    expect(report.missing).toEqual([
      'prompts-direct (reinforcement learning has not begun)',
      'rollouts-direct (nothing was sampled)',
    ]);
    for (const { name, rows } of report.sets) {
      const lines = await linesOf(name);
      expect(lines).toHaveLength(rows);
      expect(await parquetReadObjects({ file: await asyncBufferFromFile(join(folder, `${name}.parquet`)) })).toEqual(
        lines,
      );
    }
    const card = await readFile(join(folder, 'README.md'), 'utf8');
    expect(card).toContain('- config_name: rollouts-search\n  data_files: rollouts-search.parquet');
    expect(card).toContain('Not there yet: prompts-direct');
    expect(card).toContain(`linearize/${run.plan.linearize.key}`);
    expect(card).toContain('nobody has rights in them');
    const columns = [...card.matchAll(/^\| `(\w+)` \| [^|]+\| (.*)\|$/gm)];
    expect(columns.length).toBeGreaterThan(30);
    for (const [line, , words] of columns) expect(words?.trim(), line).not.toBe('');
  });

  it('of fine-tuning are conversations of the very problems and texts', async () => {
    const task = getTask(run.plan.linearize.task);
    const problems = new Map((await stored<Problem>(run.plan.search.problems.uri)).map((one) => [one.id, one]));
    for (const arm of run.plan.arms) {
      const rows = await stored<SftRow>(artifactNames.rows(run.plan.linearize.key, arm));
      expect(rows.length).toBeGreaterThan(5);
      expect(await linesOf(`sft-${arm}`)).toMatchObject(
        rows.map((row) => ({
          messages: [...task.prompt(problems.get(row.problemId)!), { role: 'assistant', content: row.text }],
          problem_id: row.problemId,
          arm: row.arm,
          backtracks: row.backtracks,
          completion_ids: row.completionTokens,
        })),
      );
    }
  });

  it('of reinforcement learning carry what an update needs, and groups whose advantages cancel out', async () => {
    const { key } = run.plan.rl.search;
    const records = [
      ...(await stored<RolloutRecord>(artifactNames.rollouts(key, 0))),
      ...(await stored<RolloutRecord>(artifactNames.rollouts(key, 1))),
    ];
    const rows = await linesOf<Record<string, unknown>>('rollouts-search');
    expect(rows).toMatchObject(
      records.map((record) => ({
        iteration: record.iteration,
        completion: record.text,
        prompt_ids: record.promptTokens,
        logprobs: record.samplerLogprobs,
        policy_version: record.policyVersion,
        reward: record.reward,
      })),
    );
    const sums = new Map<string, number>();
    for (const { iteration, group, advantage } of rows)
      sums.set(`${iteration}/${group}`, (sums.get(`${iteration}/${group}`) ?? 0) + (advantage as number));
    expect(sums.size).toBe(8);
    for (const sum of sums.values()) expect(sum).toBeCloseTo(0);
    expect(rows.some(({ advantage }) => advantage !== 0)).toBe(true);
    expect(rows[0]?.prompt).toMatch(/^Use .* to make \d+\n$/);
  });

  it('of prompts hold the problem that `astroflow reward` grades by', async () => {
    const [row] = await linesOf<{ reward_model: { ground_truth: string }; extra_info: { problem_id: string } }>(
      'prompts-search',
    );
    const problems = await stored<Problem>(run.plan.search.problems.uri);
    const problem = problems.find(({ id }) => id === row?.extra_info.problem_id);
    expect(JSON.parse(row?.reward_model.ground_truth ?? '')).toEqual(problem);
  });

  it('of an unknown problem are an error that names it', async () => {
    const { plan } = run;
    const linearize = { ...plan.linearize, key: 'strange' };
    const rows = await stored<SftRow>(artifactNames.rows(plan.linearize.key, 'direct'));
    await run.lab.store.putLines(artifactNames.rows('strange', 'search'), [{ ...rows[0], problemId: 'nowhere' }]);
    const into = await mkdtemp(join(folder, 'strange-'));
    await expect(rowsOf(into, { ...plan, linearize })).rejects.toThrow('unknown problem nowhere');
  });

  it('of a run that has only begun are none yet', async () => {
    const plan = await run.lab.plan({ seed: 7, ...{ search: { problems: { split: 'train', count: 3 } } } });
    const into = await mkdtemp(join(folder, 'begun-'));
    const { sets, missing } = await rowsOf(into, plan);
    expect(sets).toEqual([]);
    expect(missing).toHaveLength(6);
    expect(await readdir(into)).toEqual(['README.md']);
  });
});
