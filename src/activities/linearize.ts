import { artifactNames, type LinearizePlan } from '../config/plan.ts';
import type { ArtifactRef } from '../core/artifact.ts';
import { countBacktracks } from '../core/behaviour.ts';
import { addLanguage, addReasons, noLanguage } from '../core/language/counts.ts';
import { emptyFunnel, type Funnel, type LanguageCounts, type SftRow } from '../core/records.ts';
import type { Task } from '../core/task.ts';
import { getTask } from '../core/tasks/index.ts';
import type { Services } from '../services/index.ts';
import { readAhead } from '../services/store/read-ahead.ts';
import { attempt } from './boundary.ts';
import type { ActivityDeps } from './deps.ts';
import { failure } from './failures.ts';
import { requireArtifact } from './load.ts';
import type { IndexedTree, StoredTree } from './search.ts';
import { type TreeRow, type TreeRows, templateRows } from './tree-rows.ts';

type PageFunnel = Pick<Funnel, 'problems' | 'trees' | 'solved' | 'valid' | 'rejected' | 'language'>;

interface PageRow {
  /** Absent in what release 0.1 stored. */
  schema?: 'astroflow.row-part/1';
  row: SftRow | null;
  /** The last line of a page is its part of the funnel. */
  funnel?: PageFunnel;
}

export function createLinearizeActivities(deps: ActivityDeps) {
  const { store } = deps;
  return {
    /**
     * Training rows of one page of trees, stored as a part. `failures` are trees whose judging or narrating was given
     * up, by slug.
     */
    linearizePage: (input: {
      plan: LinearizePlan;
      first: number;
      failures?: Record<string, string>;
    }): Promise<{ rows: number }> =>
      attempt(async (at) => {
        const { plan, first } = input;
        const task = getTask(plan.task);
        const services = deps.services(plan.policy);
        const indexRef = await requireArtifact(store, artifactNames.searchIndex(plan.search, first), 'searchCorpus');
        const index = await store.getLines<IndexedTree>(indexRef);
        const funnel: PageFunnel = { problems: index.length, trees: 0, solved: 0, valid: 0, rejected: {} };
        const reject = (reason: string) => {
          funnel.rejected[reason] = (funnel.rejected[reason] ?? 0) + 1;
        };
        const rows: SftRow[] = [];
        let position = 0;
        for await (const { entry, made } of readAhead(index, async (entry) => ({
          entry,
          made: entry.tree && (await rowsOfTree(deps, plan, task, { ...entry, tree: entry.tree })),
        }))) {
          if (position % 50 === 0) at.report({ phase: 'linearize', done: position, total: index.length });
          position += 1;
          if (entry.tree === null) {
            reject(`search failed: ${entry.failure ?? 'no tree'}`);
            continue;
          }
          funnel.trees += 1;
          if (entry.solved) funnel.solved += 1;
          if (made === null) {
            reject(`narration failed: ${input.failures?.[entry.slug] ?? 'no answer'}`);
            continue;
          }
          if (made.counts !== undefined) funnel.language = addLanguage(funnel.language ?? noLanguage, made.counts);
          if (made.invalid !== undefined) reject(made.invalid);
          else {
            funnel.valid += 1;
            rows.push(...sftRows(plan, task, services, made.stored, entry.slug, made.rows));
          }
        }
        const parts: Omit<PageRow, 'schema'>[] = [...rows.map((row) => ({ row })), { row: null, funnel }];
        await store.putLines(
          artifactNames.rowsPart(plan, first),
          parts.map((part): PageRow => ({ schema: 'astroflow.row-part/1', ...part })),
        );
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
            funnel.rejected = addReasons(funnel.rejected, part.funnel.rejected);
            if (part.funnel.language)
              funnel.language = addLanguage(funnel.language ?? noLanguage, part.funnel.language);
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

/** What became of a tree: templates write at once, a model's rows were stored by `narrateTree`. */
async function rowsOfTree(
  { store }: ActivityDeps,
  plan: LinearizePlan,
  task: Task,
  { slug, tree }: IndexedTree & { tree: ArtifactRef },
): Promise<(Pick<TreeRows, 'rows' | 'invalid'> & { stored: StoredTree; counts?: LanguageCounts }) | null> {
  const stored = await store.getJson<StoredTree>(tree);
  if (plan.roles === undefined) return { rows: [], ...templateRows(plan, task, stored), stored };
  const ref = await store.find(artifactNames.treeRows(plan.key, slug));
  return ref === null ? null : { ...(await store.getJson<TreeRows>(ref)), stored };
}

function sftRows(
  plan: LinearizePlan,
  task: Task,
  { renderer, textModel }: Pick<Services, 'renderer' | 'textModel'>,
  { problem }: StoredTree,
  slug: string,
  rows: readonly TreeRow[],
): SftRow[] {
  const { judge, narrator } = plan.roles ?? { judge: null, narrator: null };
  const { tokens: promptTokens } = renderer.prompt(task.prompt(problem));
  return rows.map(({ arm, text, plannedBacktracks, ...made }) => ({
    schema: 'astroflow.sft-row/1',
    problemId: problem.id,
    family: task.family(problem),
    arm,
    promptTokens,
    completionTokens: [...renderer.encode(text), renderer.eosToken],
    text,
    plannedBacktracks,
    backtracks: countBacktracks(text, task.phrases),
    tree: slug,
    roles: {
      policy: plan.policy.base,
      narrator: narrator === null ? 'templates' : textModel(narrator.model).name,
      judge: judge === null ? 'task-rules' : textModel(judge.model).name,
    },
    prompts: plan.roles?.prompts.sha256 ?? null,
    ...made,
  }));
}
