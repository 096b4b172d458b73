import { artifactNames, type LinearizePlan } from '../config/plan.ts';
import { countBacktracks } from '../core/behaviour.ts';
import { planRows } from '../core/linearize.ts';
import type { Problem } from '../core/problem.ts';
import { emptyFunnel, type Funnel, type SftRow } from '../core/records.ts';
import { deriveSeed } from '../core/seed.ts';
import type { Task } from '../core/task.ts';
import { getTask } from '../core/tasks/index.ts';
import { renderTrace } from '../core/trace.ts';
import type { Renderer } from '../services/renderer/renderer.ts';
import { attempt } from './boundary.ts';
import type { ActivityDeps } from './deps.ts';
import { failure } from './failures.ts';
import { requireArtifact } from './load.ts';
import type { IndexedTree, StoredTree } from './search.ts';

type PageFunnel = Pick<Funnel, 'problems' | 'trees' | 'solved' | 'valid' | 'rejected'>;

interface PageRow {
  row: SftRow | null;
  /** The last line of a page is its part of the funnel. */
  funnel?: PageFunnel;
}

export function createLinearizeActivities(deps: ActivityDeps) {
  const { store } = deps;
  return {
    /** Training rows of one page of trees, stored as a part. */
    linearizePage: (input: { plan: LinearizePlan; first: number }): Promise<{ rows: number }> =>
      attempt(async (at) => {
        const { plan, first } = input;
        const task = getTask(plan.task);
        const { renderer } = deps.services(plan.policy);
        const indexRef = await requireArtifact(store, artifactNames.searchIndex(plan.search, first), 'searchCorpus');
        const index = await store.getLines<IndexedTree>(indexRef);
        const funnel: PageFunnel = { problems: index.length, trees: 0, solved: 0, valid: 0, rejected: {} };
        const reject = (reason: string) => {
          funnel.rejected[reason] = (funnel.rejected[reason] ?? 0) + 1;
        };
        const rows: SftRow[] = [];
        for (const [position, entry] of index.entries()) {
          if (position % 50 === 0) at.report({ phase: 'linearize', done: position, total: index.length });
          if (entry.tree === null) {
            reject(`search failed: ${entry.failure ?? 'no tree'}`);
            continue;
          }
          funnel.trees += 1;
          if (entry.solved) funnel.solved += 1;
          const stored = await store.getJson<StoredTree>(entry.tree);
          const made = rowsOfTree(plan, task, renderer, stored, entry.slug);
          if ('invalid' in made) reject(made.invalid);
          else {
            funnel.valid += 1;
            rows.push(...made.rows);
          }
        }
        const parts: PageRow[] = rows.map((row) => ({ row }));
        await store.putLines(artifactNames.rowsPart(plan, first), [...parts, { row: null, funnel }]);
        return { rows: rows.length };
      }),

    /** Joins the parts into one data set per arm and the funnel. */
    mergeRows: (input: { plan: LinearizePlan }): Promise<Funnel> =>
      attempt(async () => {
        const { plan } = input;
        const rows: SftRow[] = [];
        const funnel: Funnel = { ...emptyFunnel, rejected: {} };
        for (let first = 0; first < plan.search.problems.count; first += plan.search.params.pageSize) {
          const ref = await requireArtifact(store, artifactNames.rowsPart(plan, first), 'linearizeCorpus');
          for (const part of await store.getLines<PageRow>(ref)) {
            if (part.row !== null) rows.push(part.row);
            if (part.funnel === undefined) continue;
            for (const count of ['problems', 'trees', 'solved', 'valid'] as const) funnel[count] += part.funnel[count];
            for (const [reason, count] of Object.entries(part.funnel.rejected)) {
              funnel.rejected[reason] = (funnel.rejected[reason] ?? 0) + count;
            }
          }
        }
        const direct = rows.filter((row) => row.arm === 'direct');
        const search = rows.filter((row) => row.arm === 'search');
        funnel.directRows = direct.length;
        funnel.searchRows = search.length;
        if (direct.length === 0 || search.length === 0) {
          throw failure(
            'MissingInput',
            `no ${direct.length === 0 ? 'direct' : 'search'} row came out of ${funnel.trees} trees: ` +
              `${JSON.stringify(funnel.rejected)}. Search more problems, or with more rounds`,
          );
        }
        const searchArm = plan.params.searchArmIncludesDirect ? [...search, ...direct] : search;
        await store.putLines(artifactNames.rows(plan.key, 'search'), searchArm);
        await store.putLines(artifactNames.rows(plan.key, 'direct'), direct);
        await store.putJson(artifactNames.funnel(plan.key), { schema: 'astroflow.funnel/1', ...funnel });
        return funnel;
      }),
  };
}

function rowsOfTree(
  plan: LinearizePlan,
  task: Task,
  renderer: Renderer,
  stored: StoredTree,
  slug: string,
): { rows: SftRow[] } | { invalid: string } {
  const { problem, tree } = stored;
  const { params } = plan;
  const planned = planRows(tree, task, problem as Problem, {
    rowsPerTree: { search: params.searchRowsPerTree, direct: params.directRowsPerTree },
    mix: params.backtracks,
    seed: deriveSeed(plan.seed, plan.key, problem.id),
    highValue: params.highValue,
  });
  if ('invalid' in planned) return planned;
  const { tokens: promptTokens } = renderer.prompt(task.prompt(problem));
  return {
    rows: planned.rows.map(({ arm, plan: linearization }) => {
      const { text } = renderTrace(linearization, tree, task, problem);
      return {
        schema: 'astroflow.sft-row/1',
        problemId: problem.id,
        family: task.family(problem),
        arm,
        promptTokens,
        completionTokens: [...renderer.encode(text), renderer.eosToken],
        text,
        plannedBacktracks: linearization.backtracks,
        backtracks: countBacktracks(text, task.phrases),
        tree: slug,
        roles: { policy: plan.policy.base, narrator: 'templates', judge: 'task-rules' },
      };
    }),
  };
}
