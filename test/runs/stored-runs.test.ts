import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { problemSlug } from '../../src/core/key.ts';
import type { Problem } from '../../src/core/problem.ts';
import type { SftRow } from '../../src/core/records.ts';
import { foldRounds, stateOf } from '../../src/core/search/index.ts';
import { findPlan, runNameOf, storedRuns } from '../../src/runs/plans.ts';
import { findProblem, searchedProblems } from '../../src/runs/problems.ts';
import { storedRounds } from '../../src/runs/rounds.ts';
import { readSearch } from '../../src/runs/search.ts';
import { storedProgress } from '../../src/runs/stages.ts';
import { movesOf, rowsOfTree } from '../../src/runs/traces.ts';
import { brokenOffRounds, type StoredRun, storeBrokenOffRun } from '../support/stored-run.ts';

let stored: StoredRun;
let problems: Problem[];
beforeAll(async () => {
  stored = await storeBrokenOffRun();
  problems = await stored.lab.store.getLines<Problem>(stored.plan.search.problems);
}, 60_000);
afterAll(() => stored?.lab.close());

describe('a run whose search broke off, by what it has stored', () => {
  it('is listed, and found by its name or the id of one of its workflows', async () => {
    const { store } = stored.lab;
    expect(await storedRuns(store)).toEqual(['lab']);
    expect(await findPlan(store, 'lab')).toEqual(stored.plan);
    expect(await findPlan(store, 'other')).toBeNull();
    expect([runNameOf('lab'), runNameOf('astro/lab/rl/search'), runNameOf('../lab'), runNameOf('')]).toEqual([
      'lab',
      'lab',
      null,
      null,
    ]);
  });

  it('says what is finished, what has begun, and nothing of whether anybody works on it', async () => {
    const { stages } = await storedProgress(stored.lab.store, stored.plan);
    expect(stages[0]).toMatchObject({ name: 'search', state: 'begun', done: 2, total: 4, note: '1 begun' });
    expect(stages.slice(1).map(({ state }) => state)).toEqual(stages.slice(1).map(() => 'waiting'));
  });

  it('knows the state of each problem', async () => {
    const found = await searchedProblems(stored.lab.store, stored.plan.search, problems);
    expect(found.map(({ state }) => state)).toEqual(['finished', 'finished', 'begun', 'waiting']);
    expect(found[2]).toMatchObject({ number: 2, rounds: brokenOffRounds, solved: null });
    const [second] = await searchedProblems(stored.lab.store, stored.plan.search, problems, { from: 1, count: 1 });
    expect(second?.number).toBe(1);
  });

  it('has every moment of the search that broke off, and nothing of one that has not begun', async () => {
    const { store } = stored.lab;
    const { search } = stored.plan;
    const found = await readSearch(store, search, problems[2]!);
    expect(found).toMatchObject({ finished: false, tree: { rounds: brokenOffRounds } });
    const rounds = await storedRounds(store, search, problemSlug(problems[2]!.id));
    for (const [count, { changed }] of found!.moments.entries()) {
      const { nodes } = foldRounds(problems[2]!.id, rounds.slice(0, count), search.params);
      for (const state of changed) expect(state).toEqual(stateOf(nodes[state.id]!));
    }
    expect(await readSearch(store, search, problems[3]!)).toBeNull();
  });
});

describe('a problem', () => {
  const find = (text: string) => findProblem(stored.plan.search, problems, text);

  it('is found by id, slug, row, or words that only it has', () => {
    const { id } = problems[1]!;
    expect(find(id)).toEqual({ number: 1 });
    expect(find(problemSlug(id))).toEqual({ number: 1 });
    expect(find(problemSlug(id).slice(0, -3))).toEqual({ number: 1 });
    expect(find(' 1 ')).toEqual({ number: 1 });
  });

  it('that may be several, or none, is answered with suggestions', () => {
    expect(find('Use')).toMatchObject({ suggestions: expect.arrayContaining([expect.stringMatching(/^0 {2}/)]) });
    expect(find('no such problem')).toMatchObject({ suggestions: { length: 4 } });
    expect(find('99')).toHaveProperty('suggestions');
    expect(find('')).toHaveProperty('suggestions');
  });
});

describe('a run that has linearised', () => {
  it('gives back the moves of each row, which cover its text, and the nodes that they are of', async () => {
    await stored.finish();
    const { store } = stored.lab;
    let rows: SftRow[] = [];
    for (const [number, problem] of problems.entries()) {
      const slug = problemSlug(problem.id);
      const own = await rowsOfTree(store, stored.plan.linearize, { number, slug });
      const search = await readSearch(store, stored.plan.search, problem);
      for (const row of own) {
        const moves = movesOf(row, search!.tree, stored.plan.search, problem);
        expect(moves?.map(({ start, end }) => row.text.slice(start, end)).join('')).toBe(row.text);
        expect(moves?.map(({ kind, node }) => [kind, node])).toEqual(row.plan.events);
        // A narrator's text is another one: nobody pretends to know where its moves begin.
        expect(movesOf({ ...row, text: `${row.text} ` }, search!.tree, stored.plan.search, problem)).toBeNull();
      }
      rows = [...rows, ...own];
    }
    expect(rows.length).toBeGreaterThan(0);
    const { stages } = await storedProgress(store, stored.plan);
    expect(stages.slice(0, 2)).toMatchObject([
      { state: 'begun', done: 4 },
      { state: 'begun', done: 4 },
    ]);
  }, 30_000);
});
