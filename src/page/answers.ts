import { readFile } from 'node:fs/promises';
import type { Plan } from '../config/plan.ts';
import { problemSlug } from '../core/key.ts';
import type { Problem } from '../core/problem.ts';
import type { Html } from '../report/html/escape.ts';
import type { ListedRun } from '../runs/listed-run.ts';
import { findPlan } from '../runs/plans.ts';
import { searchedProblems } from '../runs/problems.ts';
import { readSearch } from '../runs/search.ts';
import type { RunStatus } from '../runs/status.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import type { Route } from './routes.ts';
import { nodeDocument, searchDocument } from './search-document.ts';
import { homePage, problemPage, problemsFragment, runPage, stagesFragment, styleSheet } from './views.ts';

/** Where the page's answers come from. */
export interface AnswerSources {
  store: ArtifactStore;
  /** The runs of the server, if there is one, and of the store. */
  list(): Promise<ListedRun[]>;
  /** How a run stands; null: nobody knows it. */
  look(run: string): Promise<RunStatus | null>;
  figures(plan: Plan): Promise<Html>;
}

export interface PageAnswer {
  status: number;
  type: string;
  body: string;
  headers?: Record<string, string>;
}

/** Problems of one page of a run's list. */
export const problemsPerPage = 50;

/** Files of the client, by the names that pages ask for. */
const scripts = ['live.browser.js', 'node-panel.browser.js', 'theme.browser.js', 'tree.browser.js'];

export async function answerTo(route: Route, sources: AnswerSources): Promise<PageAnswer> {
  switch (route.kind) {
    case 'refused':
      return plain(route.status, route.message);
    case 'asset':
      return asset(route.name);
    case 'home':
      return markup(homePage(await sources.list()).markup);
    case 'runs':
      return json({ schema: 'astroflow.list/1', runs: await sources.list() });
    case 'run':
      return runAnswer(route, sources);
    case 'problem':
    case 'node':
      return problemAnswer(route, sources);
  }
}

async function runAnswer(
  { run, view, from }: Extract<Route, { kind: 'run' }>,
  { store, look, figures }: AnswerSources,
): Promise<PageAnswer> {
  if (view === 'status' || view === 'stages' || view === 'page') {
    const status = await look(run);
    if (status === null) return unknownRun(run);
    if (view === 'status') return json(status);
    return view === 'stages' ? markup(stagesFragment(status).markup) : markup(runPage(status).markup);
  }
  const plan = await findPlan(store, run);
  if (plan === null) return unknownRun(run);
  if (view === 'figures') return markup((await figures(plan)).markup);
  const problems = await store.getLines<Problem>(plan.search.problems);
  const range = { from, count: problemsPerPage };
  const shown = await searchedProblems(store, plan.search, problems, range);
  return markup(problemsFragment(run, shown, { ...range, total: problems.length }).markup);
}

async function problemAnswer(
  route: Extract<Route, { kind: 'problem' | 'node' }>,
  { store }: AnswerSources,
): Promise<PageAnswer> {
  const plan = await findPlan(store, route.run);
  if (plan === null) return unknownRun(route.run);
  const found = await problemOf(store, plan, route.slug);
  if (found === null) return plain(404, `The run ${route.run} searches no problem ${route.slug}.`);
  if (route.kind === 'problem' && route.view === 'page')
    return markup(problemPage(plan, found.problem, found.number).markup);
  const search = await readSearch(store, plan.search, found.problem);
  if (search === null) return plain(404, 'This search has not begun yet.');
  if (route.kind === 'problem') return json(await searchDocument(store, plan, search, found.number, route.trace));
  const node = nodeDocument(search, route.node);
  return node === null ? plain(404, `The tree has no node ${route.node}.`) : json(node);
}

async function problemOf(
  store: ArtifactStore,
  { search }: Plan,
  slug: string,
): Promise<{ problem: Problem; number: number } | null> {
  const problems = await store.getLines<Problem>(search.problems);
  const number = problems.findIndex(({ id }) => problemSlug(id) === slug);
  const problem = problems[number];
  return problem === undefined ? null : { problem, number };
}

async function asset(name: string): Promise<PageAnswer> {
  if (name === 'page.css') return { status: 200, type: 'text/css; charset=utf-8', body: await styleSheet() };
  if (!scripts.includes(name)) return plain(404, 'There is no such file.');
  const file = new URL(`client/${name}`, import.meta.url);
  return { status: 200, type: 'text/javascript; charset=utf-8', body: await readFile(file, 'utf8') };
}

const unknownRun = (run: string) => plain(404, `Neither the server nor the store knows a run ${run}.`);
const plain = (status: number, message: string): PageAnswer => ({
  status,
  type: 'text/plain; charset=utf-8',
  body: `${message}\n`,
});
const json = (value: unknown): PageAnswer => ({
  status: 200,
  type: 'application/json; charset=utf-8',
  body: `${JSON.stringify(value)}\n`,
});
const markup = (body: string): PageAnswer => ({ status: 200, type: 'text/html; charset=utf-8', body });
