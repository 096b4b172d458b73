import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { artifactNames } from '../config/plan.ts';
import { readReportData } from '../inspect/report-data.ts';
import { writeReportPage } from '../inspect/report-page.ts';
import { parseSummary, type Summary } from '../report/summary-schema.ts';
import { findPlan, readIfThere, runNameOf } from '../runs/plans.ts';
import { openStore } from '../services/store/open.ts';
import type { ArtifactStore } from '../services/store/store.ts';
import { CliError } from './errors.ts';
import type { Home } from './home.ts';

/** `astroflow report RUN`: makes `report.html` of what a finished run has stored; needs no server and no worker. */
export async function reportCommand(home: Home, run: string, options: { out?: string }): Promise<number> {
  const store = await openStore(home.artifacts);
  const name = runNameOf(run);
  const plan = name === null ? null : await findPlan(store, name);
  if (plan === null)
    throw new CliError(
      `There is no run ${run} in ${home.artifacts}: \`astroflow list\` names those there are. If its worker works in ` +
        'another folder, set ASTROFLOW_HOME to it.',
    );
  const summary = await readSummary(store, plan.run);
  if (options.out === undefined) {
    console.log(store.locate(await writeReportPage(store, plan, summary)));
    return 0;
  }
  const { renderPage } = await import('../report/html/document.ts');
  const path = resolve(options.out);
  writeFileSync(path, renderPage(await readReportData(store, plan, summary)));
  console.log(path);
  return 0;
}

async function readSummary(store: ArtifactStore, run: string): Promise<Summary> {
  const name = artifactNames.run(run, 'summary.json');
  const json = await readIfThere<unknown>(store, name);
  if (json === null)
    throw new CliError(
      `The run ${run} has no summary yet: its last stage writes it. \`astroflow status ${run}\` says how far it is.`,
    );
  try {
    return parseSummary(json);
  } catch (error) {
    throw new CliError(`${store.locate(name)} is not a summary of a version that this one reads.\n${String(error)}`);
  }
}
