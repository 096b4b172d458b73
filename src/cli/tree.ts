import type { SearchPlan } from '../config/plan.ts';
import type { Problem } from '../core/problem.ts';
import { bestPath, foldRounds } from '../core/search/index.ts';
import { problemTitle, searchedProblems } from '../runs/problems.ts';
import { storedRounds } from '../runs/rounds.ts';
import { readSearch } from '../runs/search.ts';
import { openStore } from '../services/store/open.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import { columnsOf } from './columns.ts';
import { CliError } from './errors.ts';
import type { Home } from './home.ts';
import { shorten } from './progress.ts';
import { storedPlan, storedProblem } from './stored-run.ts';
import { oneLine, treeLines } from './tree-text.ts';

export interface TreeOptions {
  at?: number;
  depth?: number;
  width?: number;
  json?: boolean;
}

/** `astroflow tree RUN [PROBLEM]`: from the stored rounds, so also of a search that runs or has broken off. */
export async function treeCommand(
  home: Home,
  run: string,
  text: string | undefined,
  options: TreeOptions,
): Promise<number> {
  const store = await openStore(home.artifacts);
  const { search } = await storedPlan(store, run);
  if (text === undefined) return listProblems(store, search, options);
  const { problem, number } = await storedProblem(store, search, text);
  const found = await readSearch(store, search, problem);
  if (found === null)
    throw new CliError(`The search of problem ${number} (${problemTitle(search, problem)}) has not begun yet.`);
  const last = found.tree.rounds;
  const at = options.at ?? last;
  if (at > last) throw new CliError(`The search has ${last} rounds so far, so --at goes from 0 to ${last}.`);
  if (at < last && found.moments.length === 1)
    throw new CliError('Its rounds are no longer stored, only its finished tree: leave --at out.');
  const tree =
    at === last
      ? found.tree
      : foldRounds(problem.id, (await storedRounds(store, search, found.slug)).slice(0, at), search.params);
  const path = bestPath(tree);
  if (options.json) {
    const { slug, finished } = found;
    const told = { run: search.run, number, slug, problem, rounds: at, storedRounds: last, finished, bestPath: path };
    console.log(JSON.stringify({ schema: 'astroflow.tree/1', ...told, tree }, null, 2));
    return 0;
  }
  const width = columnsOf(process.stdout);
  const state =
    at < last ? `after round ${at} of ${last}` : `${last} rounds${found.finished ? ', finished' : ', not finished'}`;
  console.log(shorten(oneLine(problemTitle(search, problem)), width));
  console.log(
    shorten(`${found.slug}: ${state}, ${tree.nodes.length} nodes; * best path, N visits, Q value, P prior`, width),
  );
  const shape = {
    ...(options.depth !== undefined && { depth: options.depth }),
    ...(options.width && { children: options.width }),
  };
  const color = process.stdout.hasColors?.() ?? false;
  for (const line of treeLines(tree, { width, color, ...shape })) console.log(line);
  return 0;
}

/** Which problems there are to look at. */
async function listProblems(store: ArtifactStore, search: SearchPlan, { json }: TreeOptions): Promise<number> {
  const problems = await searchedProblems(store, search, await store.getLines<Problem>(search.problems));
  if (json) {
    console.log(JSON.stringify({ schema: 'astroflow.problems/1', run: search.run, problems }, null, 2));
    return 0;
  }
  const width = columnsOf(process.stdout);
  for (const { number, slug, title, state, rounds, solved } of problems) {
    const outcome = solved === null ? '' : solved ? ', solved' : ', unsolved';
    const facts = `${state}${rounds ? ` (${rounds} rounds)` : ''}${outcome}`;
    console.log(shorten(`${String(number).padStart(5)}  ${oneLine(title)}  ${facts}  ${slug}`, width));
  }
  return 0;
}
