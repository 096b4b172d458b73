import { evaluateCallPrefix, searchCallPrefix } from '../config/call-ids.ts';
import { artifactNames, type EvaluatePlan, type Plan, type RlPlan, type SearchPlan } from '../config/plan.ts';
import { problemSlug } from '../core/key.ts';
import type { Account, Unit } from '../core/ledger/types.ts';
import type { Problem } from '../core/problem.ts';
import type { AnswerRecord, RolloutRecord } from '../core/records.ts';
import { rolloutUsage } from '../core/rl/usage.ts';
import { getTask } from '../core/tasks/index.ts';
import { noUsage, type Usage } from '../core/usage.ts';
import type { Services } from '../services/index.ts';
import type { Sampler } from '../services/sampler/sampler.ts';
import { readAhead } from '../services/store/read-ahead.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import { readRoleAccounts } from './role-accounts.ts';
import { lostIn, searchUnits } from './search-units.ts';

/** Where the books are: what is stored, and who was called. */
export interface Books {
  store: ArtifactStore;
  services: Pick<Services, 'sampler' | 'textModel' | 'renderer'>;
  signal: AbortSignal;
}

/** Whoever keeps a journal of its calls. */
export type Journal = Pick<Sampler, 'journal'>;

/**
 * The accounts of a run's stages, running or not. What is stored is read before what was served, so that a call is
 * never found stored and not served for the order of reading. Stages are shared by runs with the same keys, and so are
 * their accounts.
 */
export async function readAccounts(plan: Plan, books: Books): Promise<Account[]> {
  const accounts = [await searchAccount(plan.search, books), ...(await readRoleAccounts(plan.linearize, books))];
  for (const arm of plan.arms) {
    if (plan.rl[arm].params.iterations > 0) accounts.push(await rlAccount(plan.rl[arm], books));
  }
  for (const entry of plan.evaluate.checkpoints) accounts.push(await evaluateAccount(plan.evaluate, entry, books));
  return accounts;
}

async function searchAccount(search: SearchPlan, books: Books): Promise<Account> {
  const { store, services } = books;
  const finished = (await store.find(artifactNames.searchResult(search))) !== null;
  const prefix = searchCallPrefix(search);
  const units: Unit[] = [];
  const lost: { part: string; usage: Usage }[] = [];
  const problems = await store.getLines<Problem>(search.problems);
  for await (const one of readAhead(problems, async (problem) => {
    const part = problemSlug(problem.id);
    return {
      part,
      units: await searchUnits(store, search, problem),
      lost: await lostIn(store, search, part, prefix),
    };
  })) {
    units.push(...one.units);
    for (const usage of one.lost) lost.push({ part: one.part, usage });
  }
  const served = await services.sampler.journal(prefix, books.signal);
  return { stage: 'search', finished, units, served, lost };
}

async function rlAccount(plan: RlPlan, books: Books): Promise<Account> {
  const { store, services } = books;
  const finished = (await store.find(artifactNames.result('rl', plan.key))) !== null;
  const units: Unit[] = [];
  for (let iteration = 0; iteration < plan.params.iterations; iteration++) {
    const result = artifactNames.rollouts(plan.key, iteration);
    const unit = { result, prefix: `rl/${plan.key}/iter-${iteration}/`, part: `iter-${iteration}` };
    const ref = await store.find(result);
    if (ref === null) units.push({ ...unit, calls: null, usage: noUsage });
    else {
      const records = await store.getLines<RolloutRecord>(ref);
      units.push({ ...unit, calls: [...new Set(records.map(({ callId }) => callId))], usage: rolloutUsage(records) });
    }
  }
  const served = await services.sampler.journal(`rl/${plan.key}/`, books.signal);
  return { stage: 'rl', arm: plan.arm, finished, units, served };
}

async function evaluateAccount(
  plan: EvaluatePlan,
  entry: EvaluatePlan['checkpoints'][number],
  books: Books,
): Promise<Account> {
  const { store, services } = books;
  const finished = (await store.find(artifactNames.evaluationResult(plan))) !== null;
  const task = getTask(plan.task);
  const prefix = evaluateCallPrefix(plan, entry);
  const units: Unit[] = [];
  for (const { name, problems } of plan.benchmarks) {
    const all = await store.getLines<Problem>(problems);
    for (let first = 0; first < all.length; first += plan.params.problemsPerChunk) {
      const result = artifactNames.answers(plan.key, entry, name, first);
      const unit = { result, prefix: `${prefix}${name}/${first}`, part: `${entry.name} ${name}/${first}` };
      const ref = await store.find(result);
      if (ref === null) {
        units.push({ ...unit, calls: null, usage: noUsage });
        continue;
      }
      const answers = await store.getLines<AnswerRecord>(ref);
      const given = answers.filter(({ error }) => error === undefined);
      const calls = [...new Set(given.map(({ callId }) => callId))];
      const answered = new Set(given.map(({ problemId }) => problemId));
      const asked = all.filter(({ id }) => answered.has(id));
      const givenUp = [...new Set(answers.flatMap(({ callId, error }) => (error === undefined ? [] : callId)))];
      const usage = {
        calls: calls.length,
        promptTokens: asked.reduce((sum, one) => sum + services.renderer.prompt(task.prompt(one)).tokens.length, 0),
        completionTokens: answers.reduce((sum, { tokens }) => sum + tokens, 0),
      };
      units.push({ ...unit, calls, usage, ...(givenUp.length > 0 && { givenUp }) });
    }
  }
  return { stage: 'evaluate', finished, units, served: await services.sampler.journal(prefix, books.signal) };
}
