import type { IndexedTree } from '../activities/search.ts';
import { artifactNames, type SearchPlan } from '../config/plan.ts';
import { problemSlug } from '../core/key.ts';
import type { Problem } from '../core/problem.ts';
import { getTask } from '../core/tasks/index.ts';
import type { ArtifactStore } from '../services/store/store.ts';

/** A problem of a run's search, and how far its search is by what is stored. */
export interface SearchedProblem {
  /** Its row in the problem set, from 0. */
  number: number;
  id: string;
  slug: string;
  /** The problem in words, short. */
  title: string;
  state: 'waiting' | 'begun' | 'finished' | 'given up';
  /** Rounds stored. Null where only the index was read: it does not say. */
  rounds: number | null;
  /** Null while its page of the index is not written. */
  solved: boolean | null;
}

const titleLength = 80;

export function problemTitle(search: Pick<SearchPlan, 'task'>, problem: Problem): string {
  return getTask(search.task).statement(problem).replace(/\s+/g, ' ').trim().slice(0, titleLength);
}

/** Problems `from` to `from + count` of a search. Pages that are indexed are not looked at problem by problem. */
export async function searchedProblems(
  store: ArtifactStore,
  search: SearchPlan,
  problems: readonly Problem[],
  { from = 0, count = problems.length }: { from?: number; count?: number } = {},
): Promise<SearchedProblem[]> {
  const { pageSize } = search.params;
  const found: SearchedProblem[] = [];
  let page: { first: number; rows: IndexedTree[] | null } | undefined;
  for (let number = from; number < Math.min(problems.length, from + count); number++) {
    const first = Math.floor(number / pageSize) * pageSize;
    if (page?.first !== first) page = { first, rows: await indexPage(store, search, first) };
    const problem = problems[number] as Problem;
    const named = { number, id: problem.id, slug: problemSlug(problem.id), title: problemTitle(search, problem) };
    const indexed = page.rows?.[number - first];
    found.push(
      indexed === undefined
        ? { ...named, ...(await stateOf(store, search, named.slug)), solved: null }
        : { ...named, state: indexed.tree === null ? 'given up' : 'finished', rounds: null, solved: indexed.solved },
    );
  }
  return found;
}

async function indexPage(store: ArtifactStore, search: SearchPlan, first: number): Promise<IndexedTree[] | null> {
  const ref = await store.find(artifactNames.searchIndex(search, first));
  return ref === null ? null : store.getLines<IndexedTree>(ref);
}

async function stateOf(
  store: ArtifactStore,
  search: SearchPlan,
  slug: string,
): Promise<Pick<SearchedProblem, 'state' | 'rounds'>> {
  const files = await store.list(artifactNames.searchProblem(search.key, slug));
  const rounds = files.filter((name) => name.startsWith('round-')).length;
  return { state: files.includes('tree.json') ? 'finished' : rounds > 0 ? 'begun' : 'waiting', rounds };
}

/** Most names that are suggested. */
const mostSuggestions = 5;

/**
 * The problem that a person means: its id, its slug (also its beginning), its row from 0, or words of its statement, as
 * long as only one fits. Else the ones that it may have been.
 */
export function findProblem(
  search: Pick<SearchPlan, 'task'>,
  problems: readonly Problem[],
  text: string,
): { number: number } | { suggestions: string[] } {
  const wanted = text.trim();
  const exact = problems.findIndex(({ id }) => id === wanted || problemSlug(id) === wanted);
  if (exact >= 0) return { number: exact };
  const isRow = /^\d+$/.test(wanted);
  if (isRow && Number(wanted) < problems.length) return { number: Number(wanted) };
  const lower = wanted.toLowerCase();
  const fits = problems.flatMap((problem, number) => {
    const isNamed = [problem.id, problemTitle(search, problem)].some((one) => one.toLowerCase().includes(lower));
    return !isRow && (isNamed || problemSlug(problem.id).startsWith(wanted)) ? [number] : [];
  });
  if (wanted !== '' && fits.length === 1) return { number: fits[0] as number };
  const near = fits.length > 0 ? fits : problems.slice(0, mostSuggestions).map((_, number) => number);
  return {
    suggestions: near.slice(0, mostSuggestions).map((number) => {
      const problem = problems[number] as Problem;
      return `${number}  ${problemSlug(problem.id)}  ${problemTitle(search, problem)}`;
    }),
  };
}
