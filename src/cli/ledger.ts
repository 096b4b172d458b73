import { artifactNames, type Plan } from '../config/plan.ts';
import type { Ledger, LedgerLine } from '../core/ledger/ledger.ts';
import type { Tally } from '../core/ledger/types.ts';
import type { Usage } from '../core/usage.ts';
import { ServiceError } from '../services/errors.ts';
import { openStore } from '../services/store/open.ts';
import { readLedger } from './books.ts';
import { CliError } from './errors.ts';
import type { Home } from './home.ts';

export interface LedgerOptions {
  problems?: boolean;
  json?: boolean;
}

/** Longest that reading the books may take. */
const deadlineMs = 120_000;

/** `astroflow ledger RUN`: 0 when every served call is credited, wasted for a reason, or still open. */
export async function ledgerCommand(
  home: Home,
  env: NodeJS.ProcessEnv,
  run: string,
  options: LedgerOptions,
): Promise<number> {
  const store = await openStore(home.artifacts);
  const name = run.replace(/^astro\//, '').split('/')[0] ?? '';
  const ref = /^[a-z0-9][a-z0-9._-]*$/.test(name) ? await store.find(artifactNames.run(name, 'plan.json')) : null;
  if (ref === null)
    throw new CliError(
      `There is no ${store.locate(artifactNames.run('RUN', 'plan.json')).replace('RUN', name)}. Every run writes one ` +
        'when it starts: check the name, or set ASTROFLOW_HOME to the folder in which its worker works.',
    );
  const plan = await store.getJson<Plan>(ref);
  const signal = AbortSignal.timeout(deadlineMs);
  const ledger = await readLedger(plan, store, { home, env, signal }).catch((error) => {
    if (signal.aborted)
      throw new CliError(
        `The books were not read within ${deadlineMs / 1000} s: is a service with a journal overloaded? Try again.`,
      );
    throw error instanceof ServiceError ? new CliError(error.message) : error;
  });
  if (options.json) console.log(JSON.stringify({ run: plan.run, ...withoutParts(ledger, options) }, null, 2));
  else console.log(renderLedger(ledger, options));
  return ledger.errors.length === 0 ? 0 : 1;
}

function withoutParts({ stages, ...ledger }: Ledger, { problems }: LedgerOptions) {
  return { ...ledger, stages: problems ? stages : stages.map(({ parts: _parts, ...line }) => line) };
}

/** Calls, then tokens (prompts and completions together), of each kind. */
const header = ['stage', 'credited', 'tokens', 'wasted', 'tokens', 'open', 'tokens', 'errors'];

/** Most errors that are listed for people; `--json` has all. */
const mostErrors = 20;

export function renderLedger(ledger: Ledger, { problems }: LedgerOptions): string {
  const row = (name: string, tally: Tally, errors: number | '') => [
    name,
    ...cells(tally.credited),
    ...cells(tally.wasted).map((cell) => (tally.estimated ? `~${cell}` : cell)),
    ...cells(tally.open),
    String(errors),
  ];
  const rows = [header];
  for (const line of ledger.stages) {
    rows.push(row(nameOf(line), line, line.errors));
    if (problems) for (const { part, ...tally } of line.parts) rows.push(row(`  ${part}`, tally, ''));
  }
  rows.push(row('total', ledger.total, ledger.errors.length));
  const widths = header.map((_, column) => Math.max(...rows.map((cellsOf) => cellsOf[column]?.length ?? 0)));
  const table = rows.map((cellsOf) =>
    cellsOf
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
  const errors = ledger.errors
    .slice(0, mostErrors)
    .map(({ kind, call, message }) => `${kind}: ${call}\n    ${message}`);
  const hidden = ledger.errors.length - errors.length;
  return [
    ...table,
    '',
    ...notes(ledger),
    ...errors,
    ...(hidden > 0 ? [`… and ${hidden} more errors: --json has them all`] : []),
  ].join('\n');
}

function notes({ stages, errors }: Ledger): string[] {
  const blind = stages.filter(({ estimated }) => estimated).map(nameOf);
  const open = stages.filter((line) => (line.open?.calls ?? 0) > 0).map(nameOf);
  const reasons = stages.flatMap((line) =>
    Object.entries(line.wastedBy).map(([reason, usage]) => `${usage.calls} of ${nameOf(line)} (${reason})`),
  );
  return [
    ...(reasons.length > 0 ? [`Wasted: ${reasons.join(', ')}.`] : []),
    ...(open.length > 0 ? [`Open: what ${open.join(' and ')} may still store.`] : []),
    ...(blind.length > 0
      ? [
          `Estimated (~): a service of ${blind.join(' and ')} keeps no journal. Wasted is at least what heartbeats told.`,
        ]
      : []),
    errors.length === 0 ? 'The books are right.' : `The books are wrong in ${errors.length} respects:`,
  ];
}

const nameOf = ({ stage, arm }: Pick<LedgerLine, 'stage' | 'arm'>) => (arm === undefined ? stage : `${stage} ${arm}`);

function cells(usage: Usage | null): [calls: string, tokens: string] {
  if (usage === null) return ['unknown', 'unknown'];
  return [usage.calls.toLocaleString('en'), (usage.promptTokens + usage.completionTokens).toLocaleString('en')];
}
