import { ApplicationFailure } from '@temporalio/common';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HeartbeatDetails } from '../../src/activities/boundary.ts';
import type { IndexedTree, StoredTree } from '../../src/activities/search.ts';
import { artifactNames, type Plan } from '../../src/config/plan.ts';
import type { RunConfigInput } from '../../src/config/schema.ts';
import { problemSlug } from '../../src/core/key.ts';
import type { Problem } from '../../src/core/problem.ts';
import { ServiceError } from '../../src/services/errors.ts';
import type { SampleRequest, Sampler } from '../../src/services/sampler/sampler.ts';
import { type CallOptions, filesOf, type Lab, mockEnvironment, openLab } from '../support/lab.ts';
import { tinyRun } from '../support/pipeline.ts';

const config = {
  ...tinyRun,
  // Four numbers: trees are deep enough for rollouts in more than the first round.
  task: { name: 'countdown', numbers: 4 },
  search: { problems: { split: 'train', count: 3 }, rounds: 3, leavesPerRound: 2, rolloutsPerChild: 2 },
} satisfies RunConfigInput;

let lab: Lab;
let plan: Plan;
beforeEach(async () => {
  lab = await openLab();
  plan = await lab.plan(config);
});
afterEach(() => lab.close());

/** A sampler that answers, unless `fault` says otherwise. */
const faulty = (fault: (request: SampleRequest) => Error | undefined) => (real: Sampler) => ({
  ...real,
  sample: (request: SampleRequest, signal: AbortSignal) => {
    const error = fault(request);
    return error === undefined ? real.sample(request, signal) : Promise.reject(error);
  },
});

const search = (maxRounds: number, options: CallOptions = {}, index = 0) =>
  lab.call('searchRounds', { search: plan.search, index, maxRounds }, options);

async function treeFile(of: Lab, its: Plan, index = 0): Promise<string> {
  const problems = await of.store.getLines<Problem>(its.search.problems);
  const ref = await of.store.find(artifactNames.searchTree(its.search.key, problemSlug(problems[index]!.id)));
  return JSON.stringify(await of.store.getJson(ref!));
}

describe('searching one problem', () => {
  it('goes on where the last step ended, and ends when all rounds are there', async () => {
    expect(await search(1)).toMatchObject({ rounds: 1, finished: false });
    expect(await search(1)).toMatchObject({ rounds: 2, finished: false });
    const last = await search(5);
    expect(last).toMatchObject({ rounds: 3, finished: true });
    expect(last.usage.calls).toBeGreaterThan(3);
    expect(await search(5)).toEqual(last);
  });

  it('stores every round before it asks for the next', async () => {
    const roundsAtCall: [round: number, stored: number][] = [];
    const watched = faulty((request) => {
      roundsAtCall.push([Number(request.callId.split('/')[4]), stored]);
      return undefined;
    });
    let stored = 0;
    const counting = (store: Lab['store']): Lab['store'] => ({
      ...store,
      putJson: async (name, value) => {
        const ref = await store.putJson(name, value);
        if (name.includes('/round-')) stored += 1;
        return ref;
      },
    });
    await search(3, { doubles: { sampler: watched, store: counting } });
    expect(stored).toBe(3);
    for (const [round, before] of roundsAtCall) expect(round).toBe(before);
  });

  it('loses at most the round in which it broke, and makes the same tree as if nothing had happened', async () => {
    const broken = faulty(({ callId }) =>
      callId.includes('/1/rollout') ? new ServiceError('retryable', 'gone', { service: 'sampler' }) : undefined,
    );
    await expect(search(3, { doubles: { sampler: broken } })).rejects.toMatchObject({ type: 'ServiceUnavailable' });
    const asked: string[] = [];
    const watched = faulty(({ callId, attempt }) => {
      asked.push(callId);
      expect(attempt).toBe(2);
      return undefined;
    });
    await search(3, { attempt: 2, doubles: { sampler: watched } });
    expect(asked.some((callId) => callId.includes('/0/'))).toBe(false);

    const calm = await openLab();
    try {
      const calmPlan = await calm.plan(config);
      await calm.call('searchRounds', { search: calmPlan.search, index: 0, maxRounds: 3 });
      expect(await treeFile(lab, plan)).toBe(await treeFile(calm, calmPlan));
    } finally {
      await calm.close();
    }
  });

  it('makes the same tree whatever the rounds per activity', async () => {
    await search(3, {}, 0);
    const other = await openLab();
    try {
      const otherPlan = await other.plan(config);
      for (let i = 0; i < 3; i++)
        await other.call('searchRounds', { search: otherPlan.search, index: 0, maxRounds: 1 });
      expect(await filesOf(other, 'search')).toEqual(await filesOf(lab, 'search'));
    } finally {
      await other.close();
    }
  });

  it('lets the round count that was stored first when two attempts race', async () => {
    // The zombie holds its first answer until the other attempt has finished the whole search.
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const zombieSampler = (real: Sampler): Sampler => ({
      ...real,
      sample: async (request, signal) => {
        await held;
        return real.sample({ ...request, seed: request.seed + 1 }, signal);
      },
    });
    const zombie = search(3, { doubles: { sampler: zombieSampler } });
    const winner = await search(3, { attempt: 2 });
    const tree = await treeFile(lab, plan);
    release();
    expect(await zombie).toEqual(winner);
    expect(await treeFile(lab, plan)).toBe(tree);
  });

  it('tells a heartbeat how far it is, and what it has sampled', async () => {
    const environment = mockEnvironment();
    const beats: HeartbeatDetails[] = [];
    environment.on('heartbeat', (details) => beats.push(details));
    const { usage, rounds } = await search(2, { environment });
    const { rounds: total } = plan.search.params;
    expect(beats.every((beat) => beat.phase === 'search' && beat.total === total)).toBe(true);
    expect([...new Set(beats.map(({ done }) => done))]).toEqual([0, 1]);
    const tokens = beats.map((beat) => beat.tokens ?? 0);
    expect(tokens).toEqual([...tokens].sort((one, other) => one - other));
    expect([tokens[0], rounds]).toEqual([0, 2]);
    expect(tokens.at(-1)).toBeGreaterThan(0);
    expect(tokens.at(-1)).toBeLessThanOrEqual(usage.completionTokens);
  });

  it('stops when cancelled', async () => {
    const environment = mockEnvironment();
    const cancelling = faulty(() => {
      environment.cancel();
      return undefined;
    });
    await expect(search(3, { environment, doubles: { sampler: cancelling } })).rejects.toThrow(/CANCELLED/i);
  });

  it('says when the set has no such row', async () => {
    const asked = lab.call('searchRounds', { search: plan.search, index: 99, maxRounds: 1 });
    await expect(asked).rejects.toMatchObject({ type: 'MissingInput', message: expect.stringContaining('not row 99') });
  });

  it('does not go on from a damaged round', async () => {
    await search(1);
    const damaged = (store: Lab['store']): Lab['store'] => ({
      ...store,
      getJson: (ref) => store.getJson({ ...ref, sha256: '0'.repeat(64) }),
    });
    const asked = search(3, { doubles: { store: damaged } });
    await expect(asked).rejects.toBeInstanceOf(ApplicationFailure);
    await expect(asked).rejects.toMatchObject({ type: 'CorruptArtifact', nonRetryable: true });
  });
});

describe('a page of the problem set', () => {
  it('says which problems it holds, and which have their tree', async () => {
    await search(3, {}, 1);
    const page = await lab.call('readSearchPage', { search: plan.search, first: 1, count: 5 });
    expect(page).toMatchObject({ first: 1, finished: [1], total: 3 });
    expect(page.slugs).toHaveLength(2);
    expect(page.titles[0]).toMatch(/^Use [\d ]+ to make \d+$/);
  });

  it('is indexed with every problem: its tree, or why there is none', async () => {
    await search(3, {}, 0);
    const problems = await lab.store.getLines<Problem>(plan.search.problems);
    const failures = { [problemSlug(problems[1]!.id)]: 'the sampler hung up' };
    const made = await lab.call('indexSearchPage', { search: plan.search, first: 0, count: 200, failures });
    const rows = await lab.store.getLines<IndexedTree>(made.index);
    expect(rows.map((row) => row.problemId)).toEqual(problems.map((problem) => problem.id));
    expect(rows.map((row) => row.failure)).toEqual([undefined, 'the sampler hung up', 'no tree']);
    expect(rows[0]?.passRate).toBeGreaterThanOrEqual(0);
    expect(made).toMatchObject({ trees: 1, reused: 0, usage: rows[0]!.usage });
  });

  it('agrees with its stored index when an earlier run had written it', async () => {
    const first = await lab.call('indexSearchPage', { search: plan.search, first: 0, count: 3, failures: {} });
    expect(first.trees).toBe(0);
    await search(3, {}, 0);
    expect(await lab.call('indexSearchPage', { search: plan.search, first: 0, count: 3, failures: {} })).toEqual(first);
  });

  it('counts trees that another problem set paid for as reused', async () => {
    for (const index of [0, 1, 2]) await search(3, {}, index);
    const more = await lab.plan({ ...config, search: { ...config.search, problems: { split: 'train', count: 5 } } });
    expect(more.search.key).toBe(plan.search.key);
    const page = await lab.call('readSearchPage', { search: more.search, first: 0, count: 5 });
    expect(page.finished).toEqual([0, 1, 2]);
    await lab.call('searchRounds', { search: more.search, index: 3, maxRounds: 3 });
    const made = await lab.call('indexSearchPage', { search: more.search, first: 0, count: 5, failures: {} });
    expect(made).toMatchObject({ trees: 4, reused: 3 });
  });
});

describe('a stored tree', () => {
  it('holds the problem, and names every call that paid for it', async () => {
    const { usage } = await search(3);
    const stored = JSON.parse(await treeFile(lab, plan)) as StoredTree;
    expect(stored.schema).toBe('astroflow.search-tree/1');
    expect(new Set(stored.calls).size).toBe(usage.calls);
    for (const call of stored.calls) expect(call.startsWith(`search/${plan.search.key}/`)).toBe(true);
  });
});
