import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { artifactNames, type Plan } from '../../src/config/plan.ts';
import type { Funnel, SftRow } from '../../src/core/records.ts';
import { type Lab, linearizeAll, openLab, searchAll } from '../support/lab.ts';
import { tinyRun } from '../support/pipeline.ts';

let lab: Lab;
let plan: Plan;
let funnel: Funnel;
const rowsOf = async (of: Plan, arm: 'search' | 'direct') =>
  lab.store.getLines<SftRow>((await lab.store.find(artifactNames.rows(of.linearize.key, arm)))!);

beforeAll(async () => {
  lab = await openLab();
  plan = await lab.plan(tinyRun);
  await searchAll(lab, plan);
  funnel = await linearizeAll(lab, plan);
});
afterAll(() => lab.close());

describe('the funnel', () => {
  it('adds up: every problem became rows or is counted with its reason', () => {
    expect(funnel.problems).toBe(12);
    expect(funnel.trees).toBe(12);
    const rejected = Object.values(funnel.rejected).reduce((sum, count) => sum + count, 0);
    expect(funnel.valid + rejected).toBe(funnel.problems);
    expect(funnel.valid).toBeLessThanOrEqual(funnel.solved);
    expect(funnel.solved).toBeLessThanOrEqual(funnel.trees);
  });

  it('counts rows over both pages', async () => {
    const direct = await rowsOf(plan, 'direct');
    expect(funnel.directRows).toBe(direct.length);
    expect(new Set(direct.map((row) => row.problemId)).size).toBe(funnel.valid);
  });
});

describe('rows', () => {
  it('of the search arm hold the direct ones too, unless switched off', async () => {
    const search = await rowsOf(plan, 'search');
    const direct = await rowsOf(plan, 'direct');
    expect(search).toHaveLength(funnel.searchRows + funnel.directRows);
    expect(search.filter((row) => row.arm === 'direct')).toEqual(direct);

    const apart = await lab.plan({ ...tinyRun, linearize: { searchArmIncludesDirect: false } });
    await linearizeAll(lab, apart);
    expect((await rowsOf(apart, 'search')).every((row) => row.arm === 'search')).toBe(true);
  });

  it('go back as often as planned: never in a direct row, at least once in a search row', async () => {
    for (const row of await rowsOf(plan, 'search')) {
      expect(row.backtracks).toBe(row.plannedBacktracks);
      expect(row.backtracks > 0).toBe(row.arm === 'search');
      expect(row.roles).toEqual({ policy: 'scripted-base', narrator: 'templates', judge: 'task-rules' });
    }
  });
});

describe('a page', () => {
  it('cannot be linearised before it was searched', async () => {
    const other = await lab.plan({ ...tinyRun, salt: 'unsearched' });
    await expect(lab.call('linearizePage', { plan: other.linearize, first: 0 })).rejects.toMatchObject({
      type: 'MissingInput',
      message: expect.stringContaining('"searchCorpus"'),
    });
  });

  it('without any tree ends in a failure that shows the funnel, not in an empty data set', async () => {
    const failed = await lab.plan({ ...tinyRun, salt: 'failed' });
    const { search } = failed;
    for (const first of [0, 8]) await lab.call('indexSearchPage', { search, first, count: 8, failures: {} });
    await expect(linearizeAll(lab, failed)).rejects.toMatchObject({
      type: 'MissingInput',
      message: expect.stringContaining('"search failed: no tree":12'),
    });
  });
});
