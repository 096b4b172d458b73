import { artifactNames } from '../config/plan.ts';
import { printable } from '../core/foreign-text.ts';
import type { Problem } from '../core/problem.ts';
import type { SftRow } from '../core/records.ts';
import { nodeAt } from '../core/search/index.ts';
import type { TraceMove } from '../core/trace.ts';
import { trimEndOf } from '../core/trim-end.ts';
import { problemTitle } from '../runs/problems.ts';
import { readSearch } from '../runs/search.ts';
import { movesOf } from '../runs/traces.ts';
import { openStore } from '../services/store/open.ts';
import { CliError } from './errors.ts';
import type { Home } from './home.ts';
import { storedPlan } from './stored-run.ts';

const arms = ['search', 'direct'] as const;

/** How each move is marked, and in which colour. */
const kinds: Record<TraceMove['kind'], { mark: string; name: string; code: number }> = {
  step: { mark: '+', name: 'forward', code: 0 },
  answer: { mark: '=', name: 'answer', code: 32 },
  reflectPositive: { mark: '~', name: 'reflect', code: 36 },
  reflectAnswer: { mark: '~', name: 'reflect', code: 36 },
  backtrack: { mark: '<', name: 'backtrack', code: 33 },
  restart: { mark: '<', name: 'restart', code: 33 },
};

/** `astroflow trace RUN ROW`: a training row as the moves it was written from. */
export async function traceCommand(
  home: Home,
  run: string,
  row: number,
  options: { arm: string; json?: boolean },
): Promise<number> {
  const arm = arms.find((known) => known === options.arm);
  if (arm === undefined) throw new CliError(`"${options.arm}" is none of ${arms.join(', ')}.`);
  const store = await openStore(home.artifacts);
  const plan = await storedPlan(store, run);
  const name = artifactNames.rows(plan.linearize.key, arm);
  const ref = await store.find(name);
  if (ref === null)
    throw new CliError(`${plan.run} has no training rows yet: its stage linearize writes ${store.locate(name)}.`);
  const rows = await store.getLines<SftRow>(ref);
  const found = rows[row];
  if (found === undefined) throw new CliError(`The ${arm} arm has ${rows.length} rows, 0 to ${rows.length - 1}.`);
  const problems = await store.getLines<Problem>(plan.search.problems);
  const problem = problems.find(({ id }) => id === found.problemId);
  const search = problem === undefined ? null : await readSearch(store, plan.search, problem);
  const moves = problem && search ? movesOf(found, search.tree, plan.search, problem) : null;

  if (options.json) {
    console.log(
      JSON.stringify({ schema: 'astroflow.trace/1', run: plan.run, arm, number: row, row: found, moves }, null, 2),
    );
    return 0;
  }
  const { promptTokens, completionTokens, backtracks, plannedBacktracks, roles } = found;
  console.log(
    `${arm} row ${row} of ${rows.length}: ${problem ? printable(problemTitle(plan.search, problem)) : found.problemId}`,
  );
  console.log(
    `${backtracks} backtracks (${plannedBacktracks} planned), ${promptTokens.length} tokens of prompt, ` +
      `${completionTokens.length} of completion, written by ${roles.narrator}, judged by ${roles.judge}`,
  );
  console.log(`tree: astroflow tree ${plan.run} ${found.tree}\n`);
  const color = process.stdout.hasColors?.() ?? false;
  if (moves === null) {
    console.log('A narrator wrote it, so where each move begins is not stored. Planned moves:');
    console.log(`  ${found.plan.events.map(([kind, node]) => `${kinds[kind].name} #${node}`).join(', ')}\n`);
    console.log(printable(found.text));
  } else
    for (const line of moveLines(found.text, moves, {
      color,
      qOf: (id) => search && nodeAt(search.tree.nodes, id).value,
    }))
      console.log(line);
  return 0;
}

/** Each line of the text behind its move's mark, name and node: `< backtrack #3 Q 0.25 │ …`. */
export function moveLines(
  text: string,
  moves: readonly TraceMove[],
  { color, qOf }: { color: boolean /** Null: there is no tree to ask. */; qOf: (node: number) => number | null },
): string[] {
  const lines: string[] = [];
  for (const { kind, node, start, end } of moves) {
    const { mark, name, code } = kinds[kind];
    const q = qOf(node);
    const head = `${mark} ${name} #${node}${q === null ? '' : ` Q ${q.toFixed(2)}`}`;
    const body = trimEndOf(printable(text.slice(start, end)), '\n').split('\n');
    for (const [i, line] of body.entries()) {
      const shown = `${(i === 0 ? head : '').padEnd(headWidth)} │ ${line}`;
      lines.push(color && code !== 0 ? `\u001b[${code}m${shown}\u001b[0m` : shown);
    }
  }
  return lines;
}

const headWidth = '< backtrack #9999 Q 0.00'.length;
