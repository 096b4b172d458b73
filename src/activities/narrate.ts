import { artifactNames, type LinearizePlan } from '../config/plan.ts';
import { addReasons } from '../core/language/counts.ts';
import type { PromptTexts } from '../core/language/prompt.ts';
import { isApproved, type VoteCount } from '../core/language/votes.ts';
import { planRows } from '../core/linearize.ts';
import type { LanguageCounts } from '../core/records.ts';
import { getTask } from '../core/tasks/index.ts';
import type { Usage } from '../core/usage.ts';
import { readAhead } from '../services/store/read-ahead.ts';
import { attempt } from './boundary.ts';
import type { ActivityDeps } from './deps.ts';
import { judgeTree } from './judge.ts';
import { requireArtifact } from './load.ts';
import { narrateRow } from './narrate-row.ts';
import { createRoleCalls, type SpokenPlan, type TreeContext } from './role-calls.ts';
import type { IndexedTree, StoredTree } from './search.ts';
import { rowsOptions, type TreeRow, type TreeRows, treeRow } from './tree-rows.ts';

export function createNarrateActivities({ store, services }: ActivityDeps) {
  return {
    /** Slugs of a page's trees that judge and narrator have not been through yet; how many solved ones they have. */
    readTreesPage: (input: { plan: LinearizePlan; first: number }): Promise<{ slugs: string[]; finished: number }> =>
      attempt(async () => {
        const { plan, first } = input;
        const name = artifactNames.searchIndex(plan.search, first);
        const index = await store.getLines<IndexedTree>(await requireArtifact(store, name, 'searchCorpus'));
        const slugs: string[] = [];
        let finished = 0;
        const trees = index.filter(({ tree }) => tree !== null);
        for await (const { slug, solved, rows } of readAhead(trees, async (entry) => ({
          ...entry,
          rows: await store.find(artifactNames.treeRows(plan.key, entry.slug)),
        }))) {
          if (rows === null) slugs.push(slug);
          else if (solved) finished += 1;
        }
        return { slugs, finished };
      }),

    /**
     * One tree through the language stage: votes on its right solutions, then its rows, event by event. Every answer
     * is stored before the next is asked for, so an attempt continues from what is there.
     */
    narrateTree: (input: { plan: SpokenPlan; slug: string }): Promise<{ rows: number; usage: Usage }> =>
      attempt(async (at) => {
        const { plan, slug } = input;
        const name = artifactNames.treeRows(plan.key, slug);
        let ref = await store.find(name);
        if (ref === null) {
          const tree = await requireArtifact(store, artifactNames.searchTree(plan.search.key, slug), 'searchCorpus');
          const made = await rowsOfTree({
            plan,
            task: getTask(plan.task),
            stored: await store.getJson<StoredTree>(tree),
            prompts: await store.getJson<PromptTexts>(plan.roles.prompts),
            textModel: services(plan.policy).textModel,
            calls: createRoleCalls({ store, plan, slug, at }),
            report: (phase, done, total) => at.report({ phase, done, total }),
          });
          ref = await store.putJson(name, made);
        }
        const { rows, counts } = await store.getJson<TreeRows>(ref);
        return { rows: rows.length, usage: counts.usage };
      }),
  };
}

async function rowsOfTree(context: TreeContext): Promise<TreeRows> {
  const { plan, task, stored, calls } = context;
  const { problem, tree } = stored;
  const votes = await judgeTree(context);
  const approved = votes === null ? undefined : approvedBy(votes, plan);
  const options = { ...rowsOptions(plan, problem.id), ...(approved && { approved }) };
  const planned = planRows(tree, task, problem, options);

  const rows: TreeRow[] = [];
  let [narrated, fallbacks, rejectedRows] = [0, 0, {} as Record<string, number>];
  const ofArm = { search: 0, direct: 0 };
  for (const row of 'invalid' in planned ? [] : planned.rows) {
    const number = ofArm[row.arm]++;
    const made = await narrateRow(context, row.plan, `${row.arm}-${number}`);
    narrated += made.asked;
    fallbacks += made.fallbacks;
    if (made.flaw !== null) rejectedRows = addReasons(rejectedRows, { [made.flaw]: 1 });
    else {
      const star = row.plan.answers.find((answer) => answer.correct)?.node ?? 0;
      rows.push({ ...treeRow(row, made.text), votes: votes?.get(star) ?? null, fallbacks: made.fallbacks });
    }
  }
  const invalid = 'invalid' in planned ? planned.invalid : armWithoutRow(rows);
  const made = calls.made();
  const counts: LanguageCounts = {
    ...votesIn(votes),
    approved: approved?.size ?? 0,
    narrated,
    fallbacks,
    rejectedRows,
    usage: made.usage,
  };
  return {
    schema: 'astroflow.tree-rows/1',
    problemId: problem.id,
    rows: invalid === null ? rows : [],
    ...(invalid !== null && { invalid }),
    counts,
    calls: made.calls,
  };
}

function approvedBy(votes: Map<number, VoteCount>, { roles }: SpokenPlan): Set<number> {
  const accept = roles.judge?.accept ?? 'unanimous';
  return new Set([...votes].filter(([, count]) => isApproved(count, accept)).map(([node]) => node));
}

/** As everywhere, a tree gives rows to both arms or to neither: they differ in their traces, never in their problems. */
function armWithoutRow(rows: readonly TreeRow[]): string | null {
  const missing = (['search', 'direct'] as const).find((arm) => !rows.some((row) => row.arm === arm));
  return missing === undefined ? null : `narration: no ${missing} row passed the filter`;
}

function votesIn(votes: Map<number, VoteCount> | null) {
  const counts = [...(votes?.values() ?? [])];
  const sum = (pick: (count: VoteCount) => number) => counts.reduce((total, count) => total + pick(count), 0);
  return {
    judged: counts.length,
    votes: sum(({ good, bad, unread }) => good + bad + unread),
    unreadVotes: sum(({ unread }) => unread),
  };
}
