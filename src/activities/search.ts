import { searchCallPrefix } from '../config/call-ids.ts';
import { artifactNames, type SearchPlan } from '../config/plan.ts';
import type { ArtifactRef } from '../core/artifact.ts';
import { problemSlug } from '../core/key.ts';
import type { Problem } from '../core/problem.ts';
import { applyRound, foldRounds, isFinished } from '../core/search/index.ts';
import type { SearchRound, SearchTree } from '../core/search/types.ts';
import type { Task } from '../core/task.ts';
import { getTask } from '../core/tasks/index.ts';
import { addUsage, noUsage, type Usage } from '../core/usage.ts';
import { readAhead } from '../services/store/read-ahead.ts';
import { attempt } from './boundary.ts';
import type { ActivityDeps } from './deps.ts';
import { failure } from './failures.ts';
import { storeLost } from './lost-calls.ts';
import { createProblemReader } from './problem-parts.ts';
import { runRound } from './search-round.ts';

/** One problem of a search, by its position in the problem set. */
export interface SearchProblemRef {
  search: SearchPlan;
  index: number;
}

export interface SearchProgress {
  problemId: string;
  rounds: number;
  nodes: number;
  finished: boolean;
  solved: boolean;
  usage: Usage;
}

/** The stored tree of a problem: a pure fold of its rounds, and the calls that paid for it. */
export interface StoredTree {
  schema: 'astroflow.search-tree/1';
  problem: Problem;
  tree: SearchTree;
  calls: string[];
}

export interface SearchPage {
  /** Slugs of the page's problems, by position from `first`. */
  first: number;
  slugs: string[];
  /** Their prompts, short, for people who look at the list of workflows. */
  titles: string[];
  /** Positions whose tree exists already: nothing to search. */
  finished: number[];
  /** Problems in the whole set. */
  total: number;
}

/** A row of the search index. */
export interface IndexedTree {
  /** Absent in what release 0.1 stored. */
  schema?: 'astroflow.tree-index/1';
  problemId: string;
  slug: string;
  tree: ArtifactRef | null;
  solved: boolean;
  /** Mean verdict of all completions below the root: what the difficulty band of RL looks at. */
  passRate: number | null;
  usage: Usage;
  /** Paid for by an earlier run with another problem set. */
  reused: boolean;
  /** Why there is no tree. */
  failure?: string;
}

export function createSearchActivities(deps: ActivityDeps) {
  const problemsOf = createProblemReader(deps.store);

  return {
    /** Which problems stand on a page, and which of them have their tree already. */
    readSearchPage: (input: { search: SearchPlan; first: number; count: number }): Promise<SearchPage> =>
      attempt(async () => {
        const { problems } = input.search;
        const page = await problemsOf(problems, input.first, input.count);
        const slugs = page.map((problem) => problemSlug(problem.id));
        const finished: number[] = [];
        let index = input.first;
        for await (const tree of readAhead(slugs, (slug) =>
          deps.store.find(artifactNames.searchTree(input.search.key, slug)),
        )) {
          if (tree !== null) finished.push(index);
          index += 1;
        }
        const task = getTask(input.search.task);
        const titles = page.map((problem) => titleOf(task, problem));
        return { first: input.first, slugs, titles, finished, total: problems.count };
      }),

    /**
     * Up to `maxRounds` more rounds of one problem's search. Every round is stored before the next is asked, so an
     * attempt continues from what is there; the last round also stores the folded tree.
     */
    searchRounds: (input: SearchProblemRef & { maxRounds: number }): Promise<SearchProgress> =>
      attempt(async (at) => {
        const { search } = input;
        const task = getTask(search.task);
        const [problem] = await problemsOf(search.problems, input.index, 1);
        if (problem === undefined)
          throw failure('MissingInput', `the problem set has ${search.problems.count} rows, not row ${input.index}`);
        const slug = problemSlug(problem.id);
        const services = deps.services(search.policy);
        await storeLost(deps.store, at, searchCallPrefix(search), (number) =>
          artifactNames.lostCalls(search.key, slug, number),
        );
        const rounds = await storedRounds(deps, search, slug);
        let tree = foldRounds(problem.id, rounds, search.params);
        for (let ran = 0; ran < input.maxRounds && !isFinished(tree, search.params); ran++) {
          at.report({ phase: 'search', done: tree.rounds, total: search.params.rounds });
          const round = await runRound({ search, task, problem, slug, services, at }, tree);
          const ref = await deps.store.putJson(artifactNames.searchRound(search.key, slug, tree.rounds), round);
          // Another attempt may have stored this round first; what is stored counts.
          const stored = await deps.store.getJson<SearchRound>(ref);
          at.stored();
          at.unsettled(null);
          rounds.push(stored);
          tree = applyRound(tree, stored, search.params);
        }
        const finished = isFinished(tree, search.params);
        if (finished) {
          const stored: StoredTree = {
            schema: 'astroflow.search-tree/1',
            problem,
            tree,
            calls: rounds.flatMap((round) => round.calls),
          };
          await deps.store.putJson(artifactNames.searchTree(search.key, slug), stored);
        }
        return {
          problemId: problem.id,
          rounds: tree.rounds,
          nodes: tree.nodes.length,
          finished,
          solved: isSolved(tree),
          usage: tree.usage,
        };
      }),

    /** Writes the index of one page of trees. `failures` are problems whose search was given up, by slug. */
    indexSearchPage: (input: {
      search: SearchPlan;
      first: number;
      count: number;
      failures: Record<string, string>;
    }): Promise<{ index: ArtifactRef; trees: number; solved: number; usage: Usage; reused: number }> =>
      attempt(async () => {
        const { search } = input;
        const made: IndexedTree[] = [];
        const page = await problemsOf(search.problems, input.first, input.count);
        for await (const row of readAhead(page, (problem) => indexTree(deps, search, problem, input.failures)))
          made.push(row);
        const index = await deps.store.putLines(artifactNames.searchIndex(search, input.first), made);
        // An earlier run that broke off may have stored this page already; what is stored counts.
        const rows = await deps.store.getLines<IndexedTree>(index);
        const found = rows.filter((row) => row.tree !== null);
        return {
          index,
          trees: found.length,
          solved: rows.filter((row) => row.solved).length,
          usage: found.reduce((sum, row) => addUsage(sum, row.usage), noUsage),
          reused: found.filter((row) => row.reused).length,
        };
      }),
  };
}

function titleOf(task: Task, problem: Problem): string {
  return task.statement(problem).replace(/\s+/g, ' ').slice(0, 80);
}

async function storedRounds(deps: ActivityDeps, search: SearchPlan, slug: string): Promise<SearchRound[]> {
  const rounds: SearchRound[] = [];
  for (;;) {
    const ref = await deps.store.find(artifactNames.searchRound(search.key, slug, rounds.length));
    if (ref === null) return rounds;
    rounds.push(await deps.store.getJson<SearchRound>(ref));
  }
}

async function indexTree(
  deps: ActivityDeps,
  search: SearchPlan,
  problem: Problem,
  failures: Record<string, string>,
): Promise<IndexedTree> {
  const slug = problemSlug(problem.id);
  const tree = await deps.store.find(artifactNames.searchTree(search.key, slug));
  const row = { schema: 'astroflow.tree-index/1' as const, problemId: problem.id, slug, tree };
  if (tree === null) {
    return {
      ...row,
      solved: false,
      passRate: null,
      usage: noUsage,
      reused: false,
      failure: failures[slug] ?? 'no tree',
    };
  }
  const stored = await deps.store.getJson<StoredTree>(tree);
  return {
    ...row,
    solved: isSolved(stored.tree),
    passRate: passRate(stored.tree),
    usage: stored.tree.usage,
    reused: !stored.calls.some((call) => call.startsWith(searchCallPrefix(search))),
  };
}

function isSolved(tree: SearchTree): boolean {
  return tree.nodes.some((node) => node.terminal?.correct === true);
}

/** Over rollouts, which follow the policy; terminals of the tree itself are chosen by the search and would mislead. */
function passRate(tree: SearchTree): number | null {
  const rollouts = tree.nodes.flatMap((node) => node.rollouts);
  if (rollouts.length === 0) return null;
  return rollouts.filter((rollout) => rollout.correct === true).length / rollouts.length;
}
