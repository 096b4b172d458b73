import type { PipelineResult } from '../activities/summary.ts';
import { parseSummary, type Summary } from '../report/summary-schema.ts';
import { renderScores } from '../report/terminal.ts';
import { isUrl } from '../services/store/location.ts';
import { openStore } from '../services/store/open.ts';
import type { Home } from './home.ts';

/**
 * A finished run for the terminal: the score table and where everything is. Falls back to the workflow's own result
 * where the artifacts are on another machine.
 */
export async function renderResult(result: unknown, home: Home, out: NodeJS.WriteStream): Promise<string> {
  const summary = await readSummary(result, home);
  if (summary === null) return JSON.stringify(result, null, 2);
  const store = await openStore(home.artifacts);
  const { summary: name, report, page } = result as PipelineResult;
  const scores = renderScores(summary, { color: out.hasColors?.() ?? false, width: out.columns || 100 });
  return [
    '',
    scores,
    '',
    `Report      ${store.locate(page ?? report)}`,
    // No browser opens it there.
    ...(isUrl(home.artifacts) ? [`As a file   npx astroflow report ${summary.run} --out report.html`] : []),
    `Summary     ${store.locate(name)}`,
    `Artifacts   ${home.artifacts}`,
    `Models      ${home.engine}`,
  ].join('\n');
}

export async function readSummary(result: unknown, home: Home): Promise<Summary | null> {
  const name = (result as Partial<PipelineResult> | null)?.summary;
  if (typeof name !== 'string') return null;
  const store = await openStore(home.artifacts);
  const ref = await store.find(name);
  return ref === null ? null : parseSummary(await store.getJson(ref));
}
