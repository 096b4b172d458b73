import type { UpdateResult } from '../activities/reinforce.ts';
import { artifactNames, type Plan } from '../config/plan.ts';
import type { Arm } from '../config/schema.ts';
import { isRight } from '../core/behaviour.ts';
import type { Problem } from '../core/problem.ts';
import type { RolloutRecord, RowPlan, SftRow } from '../core/records.ts';
import { kindsOf, type ProblemKind } from '../core/task.ts';
import { getTask } from '../core/tasks/index.ts';
import type { ArtifactStore } from '../services/store/store.ts';

/** Training problems that are alike in one way, the closest way that any is. */
export interface Kinship {
  /** How many training problems are alike, by each way there is, closest first. */
  kinds: (ProblemKind & { problems: number })[];
  /** Training problems that are alike, with the closest way in which each is. */
  of: ReadonlyMap<string, string>;
}

/** Problems that search and RL of a run train on, and how they are like one of a benchmark. */
export async function kinshipOf(
  plan: Plan,
  arms: readonly Arm[],
  store: ArtifactStore,
  problem: Problem,
): Promise<Kinship> {
  const task = getTask(plan.search.task);
  const wanted = kindsOf(task, problem);
  const refs = [plan.search.problems, ...arms.flatMap((arm) => plan.rl[arm].prompts ?? [])];
  const training = new Map<string, Problem>();
  for (const ref of refs) for (const one of await store.getLines<Problem>(ref)) training.set(one.id, one);
  const of = new Map<string, string>();
  const counts = wanted.map(() => 0);
  for (const [id, one] of training) {
    const kinds = kindsOf(task, one);
    const alike = wanted.flatMap(({ name, value }, i) =>
      kinds.some((kind) => kind.name === name && kind.value === value) ? [i] : [],
    );
    for (const i of alike) counts[i] = (counts[i] ?? 0) + 1;
    const [closest] = alike;
    if (closest !== undefined) of.set(id, (wanted[closest] as ProblemKind).name);
  }
  return { kinds: wanted.map((kind, i) => ({ ...kind, problems: counts[i] ?? 0 })), of };
}

/** A training row of a problem that is alike. */
export interface RelatedRow {
  arm: Arm;
  /** As `astroflow trace RUN ROW --arm ARM` counts. */
  row: number;
  problemId: string;
  alike: string;
  backtracks: number;
  tree: string;
  events: RowPlan['events'];
  text: string;
}

/** Rows in the order of closeness; the arm's file holds what its fine-tuning saw. */
export async function relatedRows(plan: Plan, arm: Arm, store: ArtifactStore, kinship: Kinship): Promise<RelatedRow[]> {
  const ref = await store.find(artifactNames.rows(plan.linearize.key, arm));
  if (ref === null) return [];
  const rows = await store.getLines<SftRow>(ref);
  const related = rows.flatMap(({ problemId, backtracks, tree, plan: { events }, text }, row): RelatedRow[] => {
    const alike = kinship.of.get(problemId);
    return alike === undefined ? [] : [{ arm, row, problemId, alike, backtracks, tree, events, text }];
  });
  return firstOfEachTree(byCloseness(related, kinship));
}

/** Rows of different trees first: a person who looks at a few should see different problems. */
function firstOfEachTree(rows: readonly RelatedRow[]): RelatedRow[] {
  const nth = new Map<string, number>();
  const numbered = rows.map((row) => {
    const place = nth.get(row.tree) ?? 0;
    nth.set(row.tree, place + 1);
    return { row, place, alike: row.alike };
  });
  const ranks = [...new Set(rows.map(({ alike }) => alike))];
  return numbered
    .sort((a, b) => ranks.indexOf(a.alike) - ranks.indexOf(b.alike) || a.place - b.place)
    .map(({ row }) => row);
}

/** One group of RL: the answers to one prompt in one iteration. */
export interface RelatedGroup {
  arm: Arm;
  iteration: number;
  group: number;
  problemId: string;
  alike: string;
  rewards: number[];
  right: number;
  tokens: number;
  policyVersion: string;
  callId: string;
}

/** Groups whose problem is alike, closest first. Reads all rollouts of the arm. */
export async function relatedGroups(
  plan: Plan,
  arm: Arm,
  store: ArtifactStore,
  kinship: Kinship,
): Promise<RelatedGroup[]> {
  const { key, params } = plan.rl[arm];
  const groups: RelatedGroup[] = [];
  for (let iteration = 0; iteration < params.iterations; iteration++) {
    const update = await store.find(artifactNames.update(key, iteration));
    const ref = await store.find(artifactNames.rollouts(key, iteration));
    if (update === null || ref === null) break;
    const { policyVersion } = (await store.getJson<UpdateResult>(update)).summary;
    const byGroup = new Map<number, RelatedGroup>();
    for (const record of await store.getLines<RolloutRecord>(ref)) {
      const alike = kinship.of.get(record.problemId);
      if (alike === undefined) continue;
      const { group, problemId, callId, reward, verdict, truncated, completionTokens } = record;
      const its = byGroup.get(group) ?? {
        ...{ arm, iteration, group, problemId, alike, policyVersion, callId },
        ...{ rewards: [], right: 0, tokens: 0 },
      };
      its.rewards.push(reward);
      if (isRight({ verdict, stopReason: truncated ? 'length' : 'stop' })) its.right += 1;
      its.tokens += completionTokens.length;
      byGroup.set(group, its);
    }
    groups.push(...byGroup.values());
  }
  return byCloseness(groups, kinship);
}

function byCloseness<T extends { alike: string }>(items: T[], { kinds }: Kinship): T[] {
  const rank = new Map(kinds.map(({ name }, i) => [name, i]));
  return items.sort((a, b) => (rank.get(a.alike) ?? 0) - (rank.get(b.alike) ?? 0));
}
