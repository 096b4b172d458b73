import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readAccounts } from '../../src/accounts/read-accounts.ts';
import type { HeartbeatDetails } from '../../src/activities/boundary.ts';
import type { Activities } from '../../src/activities/index.ts';
import { artifactNames, type Plan } from '../../src/config/plan.ts';
import type { RunConfigInput } from '../../src/config/schema.ts';
import { foldLedger, type Ledger } from '../../src/core/ledger/ledger.ts';
import { createRandom } from '../../src/core/seed.ts';
import { addUsage, noUsage, type Usage } from '../../src/core/usage.ts';
import { ServiceError } from '../../src/services/errors.ts';
import { createServices, type Services } from '../../src/services/index.ts';
import type { ArtifactStore } from '../../src/services/store/store.ts';
import type { Doubles } from '../support/doubles.ts';
import { type Lab, openLab } from '../support/lab.ts';
import { sumsRun } from '../support/sums.ts';

const config = {
  ...sumsRun,
  search: { ...sumsRun.search!, problems: { file: 'test/fixtures/sums.jsonl', limit: 3 }, rounds: 3 },
  rl: { search: { iterations: 2, promptsPerIteration: 2, groupSize: 2, maxTokens: 96 } },
  evaluate: { ...sumsRun.evaluate!, problemsPerChunk: 2 },
} satisfies RunConfigInput;

/** A world of its own: a store, and one service whose journal outlives every attempt. */
interface World {
  lab: Lab;
  plan: Plan;
  services: Services;
  /** Retries an activity until an attempt is through. */
  insist<Name extends keyof Activities>(name: Name, input: Parameters<Activities[Name]>[0]): Promise<unknown>;
}

const killed = new ServiceError('retryable', 'killed', { service: 'test' });

/** Attempts die right after a call was answered, as often as `dies` says so. */
async function openWorld(dies: () => boolean = () => false): Promise<World> {
  const lab = await openLab();
  const plan = await lab.plan(config);
  const services = createServices(plan.search.policy, {});
  const role = { kind: 'scripted' as const };
  const mortal =
    <Args extends unknown[], T>(answer: (...args: Args) => Promise<T>) =>
    async (...args: Args): Promise<T> => {
      const answered = await answer(...args);
      if (dies()) throw killed;
      return answered;
    };
  const doubles: Doubles = {
    sampler: () => ({ ...services.sampler, sample: mortal(services.sampler.sample) }),
    textModel: () => ({ ...services.textModel(role), ask: mortal(services.textModel(role).ask) }),
  };
  const insist: World['insist'] = async (name, input) => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await lab.call(name, input, { attempt, doubles });
      } catch (error) {
        if (!(error instanceof Error && error.message === killed.message)) throw error;
      }
    }
  };
  return { lab, plan, services, insist };
}

const ledgerOf = async ({ lab, plan, services }: World): Promise<Ledger> => {
  return foldLedger(await readAccounts(plan, { store: lab.store, services, signal: new AbortController().signal }));
};

/** Every activity of the run that makes calls. */
async function runAll({ plan, lab, insist }: World): Promise<void> {
  const { search, linearize, evaluate } = plan;
  for (let index = 0; index < search.problems.count; index++)
    await insist('searchRounds', { search, index, maxRounds: 9 });
  for (let first = 0; first < search.problems.count; first += search.params.pageSize) {
    await lab.call('indexSearchPage', { search, first, count: search.params.pageSize, failures: {} });
    const spoken = { ...linearize, roles: linearize.roles! };
    const { slugs } = await lab.call('readTreesPage', { plan: spoken, first });
    for (const slug of slugs) await insist('narrateTree', { plan: spoken, slug });
  }
  const checkpoint = { id: 'c', step: 1, base: 'scripted-base', trainerState: 's', samplerModel: 'scripted-search' };
  for (let iteration = 0; iteration < plan.rl.search.params.iterations; iteration++)
    await insist('rollout', { plan: plan.rl.search, iteration, prompts: search.problems, checkpoint });
  for (const entry of evaluate.checkpoints) {
    for (const benchmark of evaluate.benchmarks) {
      for (let first = 0; first < benchmark.problems.count; first += evaluate.params.problemsPerChunk)
        await insist('evaluateChunk', { plan: evaluate, entry, checkpoint, benchmark, first });
    }
  }
}

async function finish({ plan, lab }: World): Promise<void> {
  const names = [
    artifactNames.searchResult(plan.search),
    artifactNames.result('linearize', plan.linearize.key),
    artifactNames.result('rl', plan.rl.search.key),
    artifactNames.evaluationResult(plan.evaluate),
  ];
  for (const name of names) await lab.store.putJson(name, { schema: 'astroflow.stage-result/1' });
}

async function servedTo({ services }: World): Promise<Usage> {
  const { signal } = new AbortController();
  const models = [services.sampler, services.textModel({ kind: 'scripted' })];
  const served = (await Promise.all(models.map((model) => model.journal('', signal)))).flatMap((list) => list ?? []);
  return served.reduce(
    (sum, { promptTokens, completionTokens }) => addUsage(sum, { calls: 1, promptTokens, completionTokens }),
    noUsage,
  );
}

let worlds: World[] = [];
const world = async (dies?: () => boolean) => {
  const opened = await openWorld(dies);
  worlds.push(opened);
  return opened;
};
beforeEach(() => {
  worlds = [];
});
afterEach(() => Promise.all(worlds.map(({ lab }) => lab.close())));

describe('the books of a run', () => {
  it('balance whatever was killed, and credit what an undisturbed run credits', async () => {
    const calm = await world();
    await runAll(calm);
    await finish(calm);
    const expected = await ledgerOf(calm);
    expect(expected.errors).toEqual([]);
    expect(expected.stages.map(({ stage }) => stage)).toEqual(['search', 'linearize', 'rl', 'evaluate']);
    expect(expected.total).toEqual({
      credited: await servedTo(calm),
      wasted: noUsage,
      open: noUsage,
      estimated: false,
    });

    const random = createRandom(7);
    const broken = await world(() => random.int(4) === 0);
    await runAll(broken);
    await finish(broken);
    const ledger = await ledgerOf(broken);
    expect(ledger.errors).toEqual([]);
    expect(ledger.total.credited).toEqual(expected.total.credited);
    const credits = (of: Ledger) => of.stages.map(({ credited }) => credited);
    expect(credits(ledger)).toEqual(credits(expected));
    expect(new Set(ledger.stages.flatMap(({ wastedBy }) => Object.keys(wastedBy)))).toEqual(
      new Set(['another attempt']),
    );
    expect(addUsage(ledger.total.credited, ledger.total.wasted)).toEqual(await servedTo(broken));
  });

  it('leave open what a stage may still store, and count it as wasted once it was given up', async () => {
    const dying = await world();
    const { plan, lab } = dying;
    const doubles: Doubles = {
      sampler: () => ({
        ...dying.services.sampler,
        sample: async (request, signal) => {
          await dying.services.sampler.sample(request, signal);
          throw killed;
        },
      }),
    };
    const search = { search: plan.search, index: 0, maxRounds: 9 };
    await expect(lab.call('searchRounds', search, { doubles })).rejects.toThrow('killed');
    const served = await servedTo(dying);
    const before = await ledgerOf(dying);
    expect(before.stages[0]).toMatchObject({ finished: false, credited: noUsage, wasted: noUsage, open: served });
    await finish(dying);
    const { stages, errors } = await ledgerOf(dying);
    expect(stages[0]).toMatchObject({ finished: true, credited: noUsage, wasted: served, open: noUsage });
    expect(stages[0]?.wastedBy).toEqual({ 'given up': served });
    expect(errors).toEqual([]);
  });

  it('find the answers of a tree whose rows are not written yet', async () => {
    const { lab, plan, services, insist } = await world();
    for (let index = 0; index < plan.search.problems.count; index++)
      await insist('searchRounds', { search: plan.search, index, maxRounds: 9 });
    await lab.call('indexSearchPage', {
      search: plan.search,
      first: 0,
      count: plan.search.params.pageSize,
      failures: {},
    });
    const spoken = { ...plan.linearize, roles: plan.linearize.roles! };
    const { slugs } = await lab.call('readTreesPage', { plan: spoken, first: 0 });
    const withoutRows = (store: ArtifactStore): ArtifactStore => ({
      ...store,
      putJson: (name, value) => (name.endsWith('/rows.json') ? Promise.reject(killed) : store.putJson(name, value)),
    });
    const doubles: Doubles = { store: withoutRows, textModel: () => services.textModel({ kind: 'scripted' }) };
    for (const slug of slugs)
      await expect(lab.call('narrateTree', { plan: spoken, slug }, { doubles })).rejects.toThrow('killed');
    const [, linearize] = (await ledgerOf({ lab, plan, services, insist })).stages;
    expect(linearize).toMatchObject({ stage: 'linearize', wasted: noUsage, open: noUsage, errors: 0 });
    expect(linearize?.credited.calls).toBeGreaterThan(0);
  });

  it('of a tree that another problem set finished hold its own rounds alone', async () => {
    const first = await world();
    const { lab, plan, services } = first;
    const search = { search: plan.search, index: 0, maxRounds: 1 };
    await first.insist('searchRounds', search);
    // It dies in its second round, which the other run then makes and pays for.
    const doubles: Doubles = {
      sampler: () => ({
        ...services.sampler,
        sample: async (request, signal) => {
          await services.sampler.sample(request, signal);
          throw killed;
        },
      }),
    };
    await expect(lab.call('searchRounds', search, { doubles })).rejects.toThrow('killed');
    const limited = { ...config.search, problems: { file: 'test/fixtures/sums.jsonl', limit: 2 } };
    const other = await lab.plan({ ...config, search: limited });
    expect(other.search.key).toBe(plan.search.key);
    const theirs = { sampler: () => services.sampler };
    await lab.call('searchRounds', { search: other.search, index: 0, maxRounds: 9 }, { doubles: theirs });

    const ours = (await ledgerOf(first)).stages[0];
    expect(ours).toMatchObject({ errors: 0, wastedBy: { 'another attempt': { calls: 1 } } });
    const others = (await ledgerOf({ ...first, plan: other })).stages[0];
    expect(others).toMatchObject({ errors: 0, wasted: noUsage });
    expect(addUsage(addUsage(ours!.credited, ours!.wasted), others!.credited)).toEqual(await servedTo(first));
  });

  it('balance where a chunk of answers was asked for problem by problem, and one of them was given up', async () => {
    const calm = await world();
    await runAll(calm);
    await finish(calm);
    const { plan, lab, services } = calm;
    const { evaluate } = plan;
    // A key of its own: nothing of it is stored yet.
    const benchmark = { name: 'searched', problems: plan.search.problems };
    const checkpoints = [evaluate.checkpoints[0]!];
    const own: Plan = { ...plan, evaluate: { ...evaluate, key: 'one-by-one', benchmarks: [benchmark], checkpoints } };
    const [entry] = own.evaluate.checkpoints;
    const checkpoint = {
      id: 'base',
      step: 0,
      base: 'scripted-base',
      trainerState: null,
      samplerModel: 'scripted-base',
    };
    const chunk = { plan: own.evaluate, entry: entry!, checkpoint, benchmark, first: 0 };
    // Served, and then refused: as a whole, and for one of the problems alone.
    const refused = (call: string) => call.endsWith('/0') || call.endsWith('/one-1');
    const doubles: Doubles = {
      sampler: () => ({
        ...services.sampler,
        sample: async (request, signal) => {
          const answer = await services.sampler.sample(request, signal);
          if (!refused(request.callId)) return answer;
          throw new ServiceError('fatal', 'too long', { service: 'test' });
        },
      }),
    };
    await expect(lab.call('evaluateChunk', chunk, { doubles })).rejects.toThrow('too long');
    await lab.call('evaluateChunk', { ...chunk, oneByOne: true }, { doubles, attempt: 2 });
    for (let first = 2; first < benchmark.problems.count; first += 2)
      await lab.call('evaluateChunk', { ...chunk, first }, { doubles: { sampler: () => services.sampler } });
    await lab.store.putJson(artifactNames.evaluationResult(own.evaluate), { schema: 'astroflow.stage-result/1' });
    const { stages, errors } = await ledgerOf({ ...calm, plan: own });
    expect(errors).toEqual([]);
    expect(stages.at(-1)?.wastedBy).toMatchObject({ 'another attempt': { calls: 1 }, 'given up': { calls: 1 } });
  });

  it('know what is stored without a journal', async () => {
    const calm = await world();
    await runAll(calm);
    await finish(calm);
    const { credited } = (await ledgerOf(calm)).total;
    const none = { journal: async () => null };
    const services = {
      ...calm.services,
      sampler: { ...calm.services.sampler, ...none },
      textModel: () => ({ ...calm.services.textModel({ kind: 'scripted' }), ...none }),
    };
    expect((await ledgerOf({ ...calm, services })).total).toEqual({
      credited,
      wasted: noUsage,
      open: null,
      estimated: true,
    });
  });

  it('estimate what was wasted by heartbeats where there is no journal', async () => {
    const { lab, plan, services, insist } = await world();
    const input = { search: plan.search, index: 0, maxRounds: 1 };
    const beats: HeartbeatDetails[] = [];
    const logger = new DefaultLogger('ERROR');
    const attempt = (number: number, heartbeatDetails?: HeartbeatDetails, dies = false) => {
      const environment = new MockActivityEnvironment({ attempt: number, heartbeatDetails }, { logger });
      environment.on('heartbeat', (details) => beats.push(details));
      const roundless = (store: ArtifactStore): ArtifactStore => ({
        ...store,
        putJson: (name, value) => (name.includes('/round-') ? Promise.reject(killed) : store.putJson(name, value)),
      });
      const doubles: Doubles = { sampler: () => services.sampler, ...(dies && { store: roundless }) };
      return lab.call('searchRounds', input, { environment, doubles });
    };
    await expect(attempt(1, undefined, true)).rejects.toThrow('killed');
    const last = beats.at(-1)!;
    const lost = await servedTo({ lab, plan, services, insist });
    expect(last.unsettled).toMatchObject({ attempt: 1, usage: lost });
    const blind = { ...services, sampler: { ...services.sampler, journal: async () => null } };
    const ledger = async () => (await ledgerOf({ lab, plan, services: blind, insist })).stages[0];
    // The next two are told the same: heartbeats of the second did not reach the server.
    for (const number of [2, 3]) await expect(attempt(number, last, true)).rejects.toThrow('killed');
    await attempt(4, last);
    // Told of a round that is stored by now.
    await attempt(5, { phase: 'x', unsettled: { ...last.unsettled!, attempt: 4 } });
    expect(await ledger()).toMatchObject({ wasted: lost, open: null, estimated: true });
  });

  it('do not agree with the journal of another service', async () => {
    const calm = await world();
    await calm.insist('searchRounds', { search: calm.plan.search, index: 0, maxRounds: 9 });
    const empty = { ...calm.services, sampler: { ...calm.services.sampler, journal: async () => [] } };
    const { errors, total } = await ledgerOf({ ...calm, services: empty });
    expect(new Set(errors.map(({ kind }) => kind))).toEqual(new Set(['never served']));
    expect(total.credited).toEqual(noUsage);
  });
});
