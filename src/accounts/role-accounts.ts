import type { RoleAnswer } from '../activities/role-calls.ts';
import type { TreeRows } from '../activities/tree-rows.ts';
import { type Role, roleCallPrefix } from '../config/call-ids.ts';
import { artifactNames, type LinearizePlan } from '../config/plan.ts';
import { problemSlug } from '../core/key.ts';
import type { Account, Unit } from '../core/ledger/types.ts';
import { callOf } from '../core/ledger/units.ts';
import type { Problem } from '../core/problem.ts';
import { noUsage } from '../core/usage.ts';
import type { Books, Journal } from './read-accounts.ts';

/** Accounts of judge and narrator, who may be other models on other servers; none where no model fills a role. */
export async function readRoleAccounts(plan: LinearizePlan, books: Books): Promise<Account[]> {
  const { judge, narrator } = plan.roles ?? { judge: null, narrator: null };
  const { textModel } = books.services;
  return [
    ...(judge === null ? [] : [await roleAccount(plan, 'judge', textModel(judge.model), books)]),
    ...(narrator === null ? [] : [await roleAccount(plan, 'narrate', textModel(narrator.model), books)]),
  ];
}

/** One unit for every stored answer; what has none belongs to its tree. */
async function roleAccount(plan: LinearizePlan, role: Role, model: Journal, books: Books): Promise<Account> {
  const { store } = books;
  const finished = (await store.find(artifactNames.result('linearize', plan.key))) !== null;
  const prefix = roleCallPrefix(plan, role);
  const units: Unit[] = [];
  const begun = new Set<string>();
  for (const problem of await store.getLines<Problem>(plan.search.problems)) {
    const slug = problemSlug(problem.id);
    const name = artifactNames.treeRows(plan.key, slug);
    const ref = await store.find(name);
    if (ref === null) {
      begun.add(slug);
      units.push({ result: name, prefix: `${prefix}${slug}/`, part: slug, calls: null, usage: noUsage });
      continue;
    }
    const { calls } = await store.getJson<TreeRows>(ref);
    for (const call of calls.filter((id) => id.startsWith(prefix)))
      units.push({ ...(await answerUnit(call, slug)), calls: [call], result: name });
  }
  const served = await model.journal(prefix, books.signal);
  // The answers of a tree whose rows are not written yet: nothing names them, so they are looked for by what was served.
  for (const call of new Set(served?.map(({ id }) => callOf(id)))) {
    const slug = call.slice(prefix.length).split('/')[0] ?? '';
    const unit = begun.has(slug) ? await answerUnit(call, slug) : null;
    if (unit !== null && unit.calls !== null) units.push(unit);
  }
  return { stage: 'linearize', finished, units, served };

  async function answerUnit(call: string, slug: string): Promise<Unit> {
    const ask = call.slice(`${prefix}${slug}/`.length);
    const result = artifactNames.roleAnswer(plan.key, slug, `${role}-${ask}`);
    const ref = await store.find(result);
    const answer = ref && (await store.getJson<RoleAnswer>(ref));
    const calls = answer === null ? null : [call];
    return { result, prefix: call, part: slug, calls, usage: answer?.usage ?? noUsage };
  }
}
